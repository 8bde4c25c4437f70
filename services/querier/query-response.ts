import type { MetricResult, Series } from '../../logql/aggregate/index.ts';
import type { HttpResponse } from '../http/types.ts';
import { jsonLabels, jsonSample, jsonString } from './json.ts';
import { CATEGORIZE_LABELS, groupEntries, type LogEntry, renderFlags, renderValue } from './log-response.ts';
import type { QueryAnswer } from './querier.ts';
import { renderStats } from './stats.ts';

export const JSON_TYPE = { 'Content-Type': 'application/json; charset=UTF-8' };

/** Text of an answer that is sent at once; a larger one goes out piece by piece, with turns for others in between. */
const WHOLE_BYTES = 256 * 1024;
const PIECE_CHARS = 64 * 1024;

/** The answer of `query` and `query_range`. `flags` are those of `X-Loki-Response-Encoding-Flags`. */
export function renderAnswer(answer: QueryAnswer, flags: readonly string[]): HttpResponse {
  return { status: 200, headers: JSON_TYPE, body: body(answerParts(answer, flags)) };
}

function* answerParts(answer: QueryAnswer, flags: readonly string[]): Generator<string> {
  const warnings = answer.warnings.length > 0 ? `"warnings":${JSON.stringify(answer.warnings)},` : '';
  const type = answer.kind === 'streams' ? 'streams' : answer.result.kind;
  const shownFlags = answer.kind === 'streams' ? renderFlags(flags) : '';
  yield `{"status":"success",${warnings}"data":{"resultType":"${type}",${shownFlags}"result":`;
  if (answer.kind === 'streams') yield* streamParts(answer.entries, flags);
  else yield* metricParts(answer.result);
  yield `,"stats":${JSON.stringify(renderStats(answer.stats))}}}\n`;
}

function* streamParts(entries: readonly LogEntry[], flags: readonly string[]): Generator<string> {
  const categorize = flags.includes(CATEGORIZE_LABELS);
  let first = true;
  yield '[';
  for (const stream of groupEntries(entries, categorize)) {
    yield `${first ? '' : ','}{"stream":${jsonLabels(stream.labels)},"values":[`;
    first = false;
    for (let i = 0; i < stream.entries.length; i++) {
      yield `${i ? ',' : ''}${renderValue(stream.entries[i]!, categorize)}`;
    }
    yield ']}';
  }
  yield ']';
}

function* metricParts(result: MetricResult): Generator<string> {
  if (result.kind === 'scalar') {
    yield jsonSample(result.timeMs, result.value);
    return;
  }
  const { series, timesMs } = result.matrix;
  yield '[';
  for (let i = 0; i < series.length; i++) {
    yield `${i ? ',' : ''}{"metric":${jsonLabels(series[i]!.labels)},`;
    if (result.kind === 'vector') yield `"value":${jsonSample(timesMs[0]!, series[i]!.values[0]!)}}`;
    else yield* valueParts(series[i]!, timesMs);
  }
  yield ']';
}

function* valueParts(series: Series, timesMs: Float64Array): Generator<string> {
  let first = true;
  yield '"values":[';
  for (let step = 0; step < timesMs.length; step++) {
    if (series.present[step] === 0) continue;
    yield `${first ? '' : ','}${jsonSample(timesMs[step]!, series.values[step]!)}`;
    first = false;
  }
  yield ']}';
}

function body(parts: Generator<string>): string | AsyncIterable<Uint8Array> {
  let text = '';
  for (;;) {
    const next = parts.next();
    if (next.done) return text;
    text += next.value;
    if (text.length > WHOLE_BYTES) return rest(text, parts);
  }
}

async function* rest(start: string, parts: Generator<string>): AsyncGenerator<Uint8Array> {
  let text = start;
  for (const part of parts) {
    text += part;
    if (text.length < PIECE_CHARS) continue;
    yield Buffer.from(text, 'utf8');
    text = '';
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (text !== '') yield Buffer.from(text, 'utf8');
}

/** `{"status":"success","data":[…]}`; nothing found leaves `data` out, as Loki does. */
export function renderNames(names: readonly string[]): HttpResponse {
  const data = names.length === 0 ? '' : `,"data":[${names.map((name) => jsonString(name, false)).join(',')}]`;
  return { status: 200, headers: JSON_TYPE, body: `{"status":"success"${data}}\n` };
}
