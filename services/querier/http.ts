import { formatQuery, parseMatchers, parseQuery } from '../../logql/syntax/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { HttpError } from '../http/http-error.ts';
import type { HttpMethod, HttpRequest, HttpResponse, Route } from '../http/types.ts';
import { parseQueryTags } from './blocked-queries.ts';
import { Detector } from './detected.ts';
import { jsonLabels, jsonSeconds } from './json.ts';
import { renderLegacy } from './legacy-response.ts';
import { parseEncodingFlags } from './log-response.ts';
import { optionalMatchers } from './matchers-param.ts';
import type { Metadata } from './metadata.ts';
import {
  BadRequestError,
  parseAtoi,
  parseBounds,
  parseInstantParams,
  parseOrderedBounds,
  parseRangeParams,
  parseStep,
  type RangeParams,
} from './params.ts';
import { type Patterns, renderPatterns } from './patterns.ts';
import type { Querier, QueryAnswer, QueryContext } from './querier.ts';
import { JSON_TYPE, renderAnswer, renderNames } from './query-response.ts';
import { Sizes } from './sizes.ts';
import { QueryStats, renderStats } from './stats.ts';
import { type AggregateBy, type Volume, volumeBuckets } from './volume.ts';

const DRILLDOWN_SOURCE = 'grafana-lokiexplore-app';
const QUERY_METHODS: readonly HttpMethod[] = ['GET', 'POST'];

export interface QuerierHttpOptions {
  readonly querier: Querier;
  readonly metadata: Metadata;
  /** Null: nobody looks for patterns. */
  readonly patterns: Patterns | null;
  readonly clock: Clock;
}

/** Who answers range queries: a `Querier`, or a frontend that divides them. */
export interface RangeQueries {
  range(params: RangeParams, context: QueryContext): Promise<QueryAnswer>;
}

/** The read path over HTTP, as Loki's API names it. */
export function querierRoutes(options: QuerierHttpOptions): Route[] {
  return [...rangeRoutes(options.querier, options.clock), ...wholeRoutes(wholeHandlers(options))];
}

/** Routes of queries that can be answered in parts, and of those that need no data. */
export function rangeRoutes(queries: RangeQueries, clock: Clock): Route[] {
  return [
    route('/loki/api/v1/query_range', async (request) => {
      const params = parseRangeParams(await request.form(), clock.nowNs());
      return renderAnswer(await queries.range(params, contextOf(request)), flagsOf(request));
    }),
    route('/api/prom/query', (request) => legacyQuery(request, queries, clock)),
    {
      ...route('/loki/api/v1/format_query', formatQueryText),
      auth: 'none',
      renderError: (error: HttpError) => ({
        status: error.status,
        headers: JSON_TYPE,
        body: `${JSON.stringify({ status: 'invalid-query', error: error.message })}\n`,
      }),
    },
  ];
}

/** Paths of requests that one querier answers from start to end. */
const WHOLE_PATHS = [
  '/loki/api/v1/query',
  '/loki/api/v1/explain',
  '/loki/api/v1/labels',
  '/loki/api/v1/label',
  '/loki/api/v1/label/{name}/values',
  '/loki/api/v1/series',
  '/loki/api/v1/patterns',
  '/loki/api/v1/index/stats',
  '/loki/api/v1/index/volume',
  '/loki/api/v1/index/volume_range',
  '/loki/api/v1/detected_labels',
  '/loki/api/v1/detected_fields',
  '/loki/api/v1/detected_field/{name}/values',
  '/api/prom/label',
  '/api/prom/label/{name}/values',
  '/api/prom/series',
] as const;

export type WholePath = (typeof WHOLE_PATHS)[number];
export type Handler = (request: HttpRequest) => Promise<HttpResponse>;

/** A route for each whole request, handled by what `handlerOf` has for its path. */
export function wholeRoutes(handlerOf: (path: WholePath) => Handler): Route[] {
  return WHOLE_PATHS.map((path) => route(path, handlerOf(path)));
}

/** How a querier answers whole requests. */
export function wholeHandlers(options: QuerierHttpOptions): (path: WholePath) => Handler {
  const handlers = new QuerierHandlers(options);
  const byPath: Record<WholePath, Handler> = {
    '/loki/api/v1/query': (r) => handlers.instant(r),
    '/loki/api/v1/explain': (r) => handlers.explain(r),
    '/loki/api/v1/labels': (r) => handlers.labels(r),
    '/loki/api/v1/label': (r) => handlers.labels(r),
    '/loki/api/v1/label/{name}/values': (r) => handlers.labelValues(r),
    '/loki/api/v1/series': (r) => handlers.series(r),
    '/loki/api/v1/patterns': (r) => handlers.patterns(r),
    '/loki/api/v1/index/stats': (r) => handlers.indexStats(r),
    '/loki/api/v1/index/volume': (r) => handlers.volume(r, false),
    '/loki/api/v1/index/volume_range': (r) => handlers.volume(r, true),
    '/loki/api/v1/detected_labels': (r) => handlers.detectedLabels(r),
    '/loki/api/v1/detected_fields': (r) => handlers.detectedFields(r),
    '/loki/api/v1/detected_field/{name}/values': (r) => handlers.detectedValues(r),
    '/api/prom/label': (r) => handlers.labels(r),
    '/api/prom/label/{name}/values': (r) => handlers.labelValues(r),
    '/api/prom/series': (r) => handlers.series(r),
  };
  return (path) => byPath[path];
}

function route(path: string, handler: Handler): Route {
  return {
    methods: QUERY_METHODS,
    path,
    name: path.slice(1).replace(/[{}]/g, '').replaceAll('/', '_'),
    auth: 'tenants',
    compress: 'configured',
    handler,
  };
}

class QuerierHandlers {
  readonly #querier: Querier;
  readonly #metadata: Metadata;
  readonly #patterns: Patterns | null;
  readonly #clock: Clock;
  readonly #detector: Detector;
  readonly #sizes: Sizes;

  constructor(options: QuerierHttpOptions) {
    this.#querier = options.querier;
    this.#metadata = options.metadata;
    this.#patterns = options.patterns;
    this.#clock = options.clock;
    this.#detector = new Detector(options);
    this.#sizes = new Sizes(options);
  }

  async instant(request: HttpRequest): Promise<HttpResponse> {
    const params = parseInstantParams(await request.form(), this.#clock.nowNs());
    const answer = await this.#querier.instant(params, contextOf(request));
    return renderAnswer(answer, flagsOf(request));
  }

  /** Loptr's own. With `time` as an instant query, else as a range query. */
  async explain(request: HttpRequest): Promise<HttpResponse> {
    const form = await request.form();
    const nowNs = this.#clock.nowNs();
    const instant = form.has('time');
    const range = parseRangeParams(form, nowNs);
    const endNs = instant ? parseInstantParams(form, nowNs).timeNs : range.endNs;
    const params = { ...range, startNs: instant ? endNs : range.startNs, endNs, instant };
    const data = await this.#querier.explain(range.query, params, contextOf(request));
    return { status: 200, headers: JSON_TYPE, body: `${JSON.stringify({ status: 'success', data })}\n` };
  }

  async labels(request: HttpRequest): Promise<HttpResponse> {
    const form = await request.form();
    const bounds = parseBounds(form, this.#clock.nowNs());
    const matchers = optionalMatchers(form.get('query'));
    return renderNames(await this.#metadata.labelNames(request.tenants(), bounds, matchers, request.signal));
  }

  async labelValues(request: HttpRequest): Promise<HttpResponse> {
    const form = await request.form();
    const bounds = parseBounds(form, this.#clock.nowNs());
    const matchers = optionalMatchers(form.get('query'));
    const name = request.params['name']!;
    return renderNames(await this.#metadata.labelValues(request.tenants(), name, bounds, matchers, request.signal));
  }

  async series(request: HttpRequest): Promise<HttpResponse> {
    const form = await request.form();
    const bounds = parseBounds(form, this.#clock.nowNs());
    const texts = [...form.getAll('match[]'), ...form.getAll('match')];
    const groups =
      texts.length === 0 || (texts.length === 1 && texts[0] === '{}') ? [[]] : texts.map((text) => parseMatchers(text));
    const series = await this.#metadata.series(request.tenants(), bounds, groups, request.signal);
    return {
      status: 200,
      headers: JSON_TYPE,
      body: `{"status":"success","data":[${series.map(jsonLabels).join(',')}]}\n`,
    };
  }

  async patterns(request: HttpRequest): Promise<HttpResponse> {
    if (this.#patterns === null) return { status: 404, headers: { 'Content-Type': 'text/plain; charset=utf-8' } };
    const series = await this.#patterns.query(request.tenants(), await request.form(), request.signal);
    return { status: 200, headers: JSON_TYPE, body: renderPatterns(series) };
  }

  async indexStats(request: HttpRequest): Promise<HttpResponse> {
    const form = await request.form();
    const bounds = parseOrderedBounds(form, this.#clock.nowNs());
    const matchers = parseMatchers(form.get('query') ?? '');
    const stats = await this.#sizes.indexStats(bounds, matchers, contextOf(request));
    return { status: 200, headers: JSON_TYPE, body: `${JSON.stringify(stats)}\n` };
  }

  async volume(request: HttpRequest, range: boolean): Promise<HttpResponse> {
    const form = await request.form();
    const bounds = parseOrderedBounds(form, this.#clock.nowNs());
    const stepNs = range ? parseStep(form, bounds.startNs, bounds.endNs) : bounds.endNs - bounds.startNs + 1n;
    const limit = parseVolumeLimit(form.get('limit'));
    const targets = form.get('targetLabels') ?? '';
    const query = form.get('query') ?? '';
    const matchers = query.replaceAll(/\s/g, '') === '{}' ? [] : parseMatchers(query);
    const aggregateBy = parseAggregateBy(form.get('aggregateBy') ?? '');
    const stats = new QueryStats();
    const buckets = range ? volumeBuckets(bounds, stepNs) : [bounds];
    const options = { limit, aggregateBy, targetLabels: targets === '' ? null : targets.split(',') };
    const volumes = await this.#sizes.volume(buckets, matchers, options, contextOf(request), stats);
    return renderVolumes(
      volumes,
      buckets.map((b) => Number(b.endNs / 1_000_000n)),
      stats,
    );
  }

  async detectedLabels(request: HttpRequest): Promise<HttpResponse> {
    return this.#detector.labels(await request.form(), contextOf(request));
  }

  async detectedFields(request: HttpRequest): Promise<HttpResponse> {
    return this.#detector.fields(await request.form(), contextOf(request));
  }

  async detectedValues(request: HttpRequest): Promise<HttpResponse> {
    return this.#detector.values(request.params['name']!, await request.form(), contextOf(request));
  }
}

async function formatQueryText(request: HttpRequest): Promise<HttpResponse> {
  const form = await request.form();
  const data = formatQuery(parseQuery(form.get('query') ?? ''));
  return { status: 200, headers: JSON_TYPE, body: `${JSON.stringify({ status: 'success', data })}\n` };
}

/** `/api/prom/query`: lines only, streams named by their printed labels. */
async function legacyQuery(request: HttpRequest, queries: RangeQueries, clock: Clock): Promise<HttpResponse> {
  const form = await request.form();
  const params = parseRangeParams(form, clock.nowNs());
  const pattern = form.get('regexp') ?? '';
  const query = pattern === '' ? params.query : `${params.query} |~ ${JSON.stringify(pattern)}`;
  if (parseQuery(query).kind !== 'log') {
    throw new BadRequestError('rpc error: code = Code(400) desc = legacy endpoints only support streams result type');
  }
  return renderLegacy(await queries.range({ ...params, query }, contextOf(request)));
}

function contextOf(request: HttpRequest): QueryContext {
  const tags = request.header('x-query-tags');
  return {
    tenants: request.tenants(),
    signal: request.signal,
    partialSeries: tags.split(',').some((tag) => tag.trim() === `Source=${DRILLDOWN_SOURCE}`),
    tags: parseQueryTags(tags),
    limitsHeader: request.header('x-loki-query-limits'),
    limitsContextHeader: request.header('x-loki-query-limits-context'),
    queuedMs: parseQueuedMs(request.header('x-query-queue-time')),
  };
}

/** Of `X-Query-Queue-Time`, by which a query frontend tells how long a request has waited, in seconds (`0.25s`). */
function parseQueuedMs(header: string): number {
  return /^\d+(\.\d+)?s$/.test(header) ? Number.parseFloat(header) * 1000 : 0;
}

function flagsOf(request: HttpRequest): readonly string[] {
  return parseEncodingFlags(request.header('x-loki-response-encoding-flags'));
}

function parseVolumeLimit(text: string | null): number {
  const fallback = 100;
  if (text === null || text === '') return fallback;
  const limit = parseAtoi(text);
  if (limit < 0n) throw new BadRequestError('limit must be a positive value');
  return limit === 0n ? fallback : Number(BigInt.asUintN(32, limit));
}

function parseAggregateBy(text: string): AggregateBy {
  if (text === '' || text === 'series') return 'series';
  if (text === 'labels') return 'labels';
  throw new BadRequestError('invalid aggregation option');
}

/** A vector when no group has more than one bucket with data, else a matrix, as Loki answers. */
function renderVolumes(volumes: readonly Volume[], endsMs: readonly number[], stats: QueryStats): HttpResponse {
  const points = (volume: Volume) =>
    volume.bytes.flatMap((bytes, i) => (bytes > 0 ? [`[${jsonSeconds(endsMs[i]!)},"${bytes}"]`] : []));
  const matrix = volumes.some((volume) => points(volume).length > 1);
  const result = volumes.map((volume) => {
    const metric = jsonLabels(volume.metric);
    const values = points(volume);
    return matrix ? `{"metric":${metric},"values":[${values.join(',')}]}` : `{"metric":${metric},"value":${values[0]}}`;
  });
  const type = matrix ? 'matrix' : 'vector';
  const statsJson = JSON.stringify(renderStats(stats));
  const body = `{"status":"success","data":{"resultType":"${type}","result":[${result.join(',')}],"stats":${statsJson}}}\n`;
  return { status: 200, headers: JSON_TYPE, body };
}
