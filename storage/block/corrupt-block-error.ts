/** A block's bytes are not what an encoder wrote. `offset` is a byte offset from the block's start. */
export class CorruptBlockError extends Error {
  readonly code = 'corrupt_block';
  readonly offset: number;
  constructor(what: string, offset: number, options?: ErrorOptions) {
    super(`corrupt block at byte ${offset}: ${what}`, options);
    this.offset = offset;
  }
}
