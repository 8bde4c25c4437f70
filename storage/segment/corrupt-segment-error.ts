/** A segment's bytes are not what a writer wrote. `offset` counts from the start of the object. */
export class CorruptSegmentError extends Error {
  readonly code = 'corrupt_segment';
  readonly key: string;
  readonly offset: number;
  constructor(key: string, what: string, offset: number, options?: ErrorOptions) {
    super(`corrupt segment ${key} at byte ${offset}: ${what}`, options);
    this.key = key;
    this.offset = offset;
  }
}
