import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../storage/host/clock.ts';
import type { HttpResponse } from '../http/types.ts';
import { type DetectedField, FieldCollector, ValueCollector } from './detected-fields.ts';
import { detectLabels } from './detected-labels.ts';
import { jsonString } from './json.ts';
import { groupEntries, type LogEntry } from './log-response.ts';
import { optionalMatchers } from './matchers-param.ts';
import type { Metadata } from './metadata.ts';
import { type Bounds, DEFAULT_LIMIT, parseLimit, parseOrderedBounds, parseStep } from './params.ts';
import type { Querier, QueryContext } from './querier.ts';
import { JSON_TYPE } from './query-response.ts';

/** Fields, or values of one field, that an answer has at most. */
const DEFAULT_FIELD_LIMIT = 1000;
/** Line bytes that are read before others get a turn: about a millisecond. */
const SLICE_CHARS = 64 * 1024;

interface FieldsParams extends Bounds {
  readonly query: string;
  /** Lines that are looked at, the newest. */
  readonly lineLimit: number;
  readonly limit: number;
}

/** What Logs Drilldown asks: which labels and fields there are in some lines, without naming any. */
export class Detector {
  readonly #querier: Querier;
  readonly #metadata: Metadata;
  readonly #clock: Clock;

  constructor(options: { querier: Querier; metadata: Metadata; clock: Clock }) {
    this.#querier = options.querier;
    this.#metadata = options.metadata;
    this.#clock = options.clock;
  }

  /** `detected_labels` */
  async labels(form: URLSearchParams, { tenants, signal }: QueryContext): Promise<HttpResponse> {
    const bounds = parseOrderedBounds(form, this.#clock.nowNs());
    const matchers = optionalMatchers(form.get('query'));
    const labels = detectLabels(await this.#metadata.labelsWithValues(tenants, bounds, matchers, signal));
    return json(labels.length === 0 ? {} : { detectedLabels: labels });
  }

  /** `detected_fields` */
  async fields(form: URLSearchParams, context: QueryContext): Promise<HttpResponse> {
    const params = parseFieldsParams(form, this.#clock.nowNs());
    const collector = new FieldCollector(params.limit);
    await this.#visit(params, context, (entry) => collector.add(entry));
    const { fields } = collector;
    if (fields.length === 0) return json({});
    return text(`{"fields":[${fields.map(renderField).join(',')}],"limit":${params.limit}}`);
  }

  /** `detected_field/{name}/values` */
  async values(name: string, form: URLSearchParams, context: QueryContext): Promise<HttpResponse> {
    const params = parseFieldsParams(form, this.#clock.nowNs());
    const collector = new ValueCollector(name, params.limit);
    await this.#visit(params, context, (entry) => collector.add(entry));
    const { values } = collector;
    if (values.length === 0) return json({});
    return text(`{"limit":${params.limit},"values":[${values.map((value) => jsonString(value, false)).join(',')}]}`);
  }

  /** Shows the newest entries of the query, stream by stream as an answer would have them. */
  async #visit(params: FieldsParams, context: QueryContext, visit: (entry: LogEntry) => void): Promise<void> {
    const entries = await this.#querier.newestEntries(params.query, params, params.lineLimit, context);
    let chars = 0;
    for (const stream of groupEntries(entries, true)) {
      for (const entry of stream.entries) {
        visit(entry);
        chars += entry.line.length;
        if (chars < SLICE_CHARS) continue;
        chars = 0;
        await nextTurn();
        context.signal.throwIfAborted();
      }
    }
  }
}

function parseFieldsParams(form: URLSearchParams, nowNs: bigint): FieldsParams {
  const bounds = parseOrderedBounds(form, nowNs);
  const lineLimit = parseLimit(form.get('line_limit'), DEFAULT_LIMIT);
  const limit = parseLimit(form.get('limit') || form.get('field_limit'), DEFAULT_FIELD_LIMIT);
  parseStep(form, bounds.startNs, bounds.endNs); // checked, and of no use
  return { ...bounds, query: form.get('query') ?? '', lineLimit, limit };
}

function renderField({ label, type, cardinality, parsers, jsonPath }: DetectedField): string {
  const found = parsers.length === 0 ? 'null' : JSON.stringify(parsers);
  const path =
    jsonPath === null || jsonPath.length === 0
      ? ''
      : `,"jsonPath":[${jsonPath.map((key) => jsonString(key, false)).join(',')}]`;
  return `{"label":${jsonString(label, false)},"type":"${type}","cardinality":${cardinality},"parsers":${found}${path}}`;
}

const json = (value: unknown): HttpResponse => text(JSON.stringify(value));
const text = (body: string): HttpResponse => ({ status: 200, headers: JSON_TYPE, body: `${body}\n` });
