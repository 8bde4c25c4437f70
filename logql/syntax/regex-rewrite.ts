/** Placeholder. */
export function isRewrittenByLoki(pattern: string): boolean {
  return /^[\w .*|+-]*$/.test(pattern);
}
