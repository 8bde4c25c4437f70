/** The query is understood, but this configuration does not run it. Loki answers 500. */
export class QueryNotEnabledError extends Error {
  override readonly name = 'QueryNotEnabledError';
  readonly code = 'query_not_enabled';
}

/** A kind of query that is refused. The caller's fault: 400. */
export class UnsupportedQueryError extends Error {
  override readonly name = 'UnsupportedQueryError';
  readonly code = 'unsupported_query';
}
