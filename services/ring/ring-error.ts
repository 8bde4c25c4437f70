/** Too few members: the text is what Loki answers. */
export class RingError extends Error {
  readonly code = 'ring_unavailable';
  readonly retryable = true;
}
