/**
 * What evaluation asks of a store: the columns of one block, decoded. A block holds rows of **one stream**, in
 * order of time; rows of one timestamp stand in order of arrival.
 *
 * Text is kept as "byte strings": a JavaScript string in which each character is one byte (what
 * `Buffer.latin1Slice` gives). Scanners read it with `charCodeAt`, offsets are byte offsets, and a piece is turned
 * into real text only when it leaves as a label value or a line (`decodeUtf8` in `stages/text.ts`).
 */
export interface BlockColumns {
  readonly rowCount: number;
  /** Nanoseconds since 1970 that `offsetsNs` count from. */
  readonly baseNs: bigint;
  /** Per row, ns after `baseNs`, ascending; exact, because a block spans less than 2^53 ns (104 days). */
  readonly offsetsNs: Float64Array;
  /** `rowCount + 1` byte offsets into `bytes`: row r is `[lineStarts[r], lineStarts[r + 1])`. Lines touch each other. */
  readonly lineStarts: Uint32Array;
  /** All lines, without separators. `null` when the caller did not ask for lines. */
  readonly bytes: Buffer | null;
  /** True when no byte of `bytes` is above 0x7f. */
  readonly ascii: boolean;
  /** Structured metadata, a column a name, in order of name. */
  readonly metadata: readonly MetadataColumn[];
}

export interface MetadataColumn {
  readonly name: string;
  /** The distinct values; index 0 is never used by a row that has the label. `values[0]` is the empty string. */
  readonly values: readonly string[];
  /** One of `values`. Costs less than all of them, where few are asked for. */
  valueAt(index: number): string;
  /** Per row the index of its value, 0 when the row lacks the label. */
  readonly indexes: Uint32Array;
  /** False: no row has this value, which is not empty. Costs less than making `values`. */
  mayHave?(value: string): boolean;
}
