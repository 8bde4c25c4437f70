import type { Labels } from '../labels.ts';
import { quoteGo } from '../units/go-quote.ts';

/** A sample carries `__error__` and nobody asked for it. The caller's fault: 400 with Loki's text. */
export class PipelineError extends Error {
  override readonly name = 'PipelineError';
  readonly code = 'pipeline_error';

  constructor(labels: Labels, error: string) {
    super(
      `pipeline error: '${error}' for series: '${seriesText(labels)}'.\n` +
        `Use a label filter to intentionally skip this error. (e.g | __error__!="${error}").\n` +
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n' +
        'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n',
    );
  }
}

/** Two vectors cannot be matched as the query says. Loki answers 500. */
export class MatchingError extends Error {
  override readonly name = 'MatchingError';
  readonly code = 'matching_error';
}

/** The result has more series than the tenant may ask for (`max_query_series`): 400. */
export class SeriesLimitError extends Error {
  override readonly name = 'SeriesLimitError';
  readonly code = 'series_limit';

  constructor(limit: number) {
    super(
      `maximum number of series (${limit}) reached for a single query; consider reducing query cardinality by adding ` +
        'more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), ' +
        'count() or topk()',
    );
  }
}

/** Evaluation would hold more than its memory bound: 400. */
export class QueryTooLargeError extends Error {
  override readonly name = 'QueryTooLargeError';
  readonly code = 'query_too_large';
  readonly limit: number;

  constructor(what: 'aggregates' | 'samples' | 'entries' | 'series', limit: number) {
    super(
      `query would hold more than ${limit} ${what} in memory; consider adding more specific stream selectors, reducing ` +
        'the time range, grouping by fewer labels, or using a larger step',
    );
    this.limit = limit;
  }
}

function seriesText(labels: Labels): string {
  return `{${labels.map(([name, value]) => `${name}=${quoteGo(value)}`).join(', ')}}`;
}
