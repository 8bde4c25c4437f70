/**
 * Rows of one stream as an ingester holds them before they are cut: columns that only grow. Arrays of some size are
 * backed by a SharedArrayBuffer, so that a worker can read the first `rowCount` rows while the ingester appends behind
 * them: what lies before `rowCount` never changes. Small ones are copied on their way to a worker. A column that must grow
 * moves to a new array; readers keep the old one.
 */
export interface HeadColumns {
  readonly rowCount: number;
  readonly baseNs: bigint;
  /** Per row, ns after `baseNs` (may be negative), in order of arrival. */
  readonly offsetsNs: Float64Array;
  /** Per row, the end of its line in `bytes`; row 0 starts at 0. */
  readonly lineEnds: Uint32Array;
  readonly bytes: Uint8Array;
  /** Per row, 1 + index of its metadata set, or 0 for none. */
  readonly metaIndexes: Uint32Array;
  /** Per metadata set, its end in `metaBytes`. Sets are pairs in order of name (`metadata-set.ts`). */
  readonly metaEnds: Uint32Array;
  readonly metaBytes: Uint8Array;
  /** True while timestamps are strictly ascending: then rows need neither sorting nor a look for duplicates. */
  readonly ascending: boolean;
  /** Of all rows; counted as in `BlockStats`. */
  readonly metadataBytes: number;
}

/** What is known of a block without opening it. */
export interface BlockStats {
  readonly minNs: bigint;
  /** Inclusive. */
  readonly maxNs: bigint;
  readonly rowCount: number;
  readonly lineBytes: number;
  /** Names and values of structured metadata, `detected_level` left out, as Loki counts a stream's volume. */
  readonly metadataBytes: number;
  /** Size of the encoded block. */
  readonly encodedBytes: number;
}

/** A block as it is stored: immutable, self-describing, checksummed. */
export interface EncodedBlock {
  /** In shared memory once an ingester keeps it. */
  readonly bytes: Uint8Array;
  readonly stats: BlockStats;
  /** What proves text and metadata absent (`storage/filter`); empty when there is none. Not part of `bytes`. */
  readonly filter: Uint8Array;
}
