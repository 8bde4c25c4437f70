/** What an ingester is told. Durations in ms, sizes in bytes; Loki's key in brackets. */
export interface IngesterConfig {
  /** Line bytes at which a head is cut into a block [chunk_block_size]. */
  readonly blockBytes: number;
  readonly blockRows: number;
  /** Encoded bytes at which the blocks of a stream are due [chunk_target_size]. */
  readonly chunkTargetBytes: number;
  /** [chunk_idle_period] */
  readonly chunkIdleMs: number;
  /** Also twice the window in which rows may come late [max_chunk_age]. */
  readonly maxChunkAgeMs: number;
  /** [flush_check_period] */
  readonly flushCheckMs: number;
  /** First and longest pause between attempts to store a segment [flush_op_backoff]. */
  readonly flushBackoffMinMs: number;
  readonly flushBackoffMaxMs: number;
  /** Refused rows that an answer names [max_returned_stream_errors]. */
  readonly maxReturnedStreamErrors: number;
  /** Memory of open heads beyond which the largest are cut, as long as they are of some size. */
  readonly maxHeadBytes: number;
  /** Encoded bytes of all streams that make up a segment: beyond it they are stored without waiting for more. */
  readonly segmentBytes: number;
  /** Memory of all rows not yet stored beyond which the largest streams are flushed. */
  readonly flushBytes: number;
  /** The same, beyond which pushes are refused with 503. */
  readonly maxUnflushedBytes: number;
  /** Size of the write-ahead log beyond which the streams that hold its oldest segments are flushed. */
  readonly maxWalBytes: number;
  /** Encodings under way at once; twice as many while some have waited for long. */
  readonly concurrentEncodes: number;
}

const MB = 1 << 20;
const MINUTE = 60_000;

export const defaultIngesterConfig: IngesterConfig = {
  blockBytes: MB,
  blockRows: 16_384,
  chunkTargetBytes: 1.5 * MB,
  chunkIdleMs: 30 * MINUTE,
  maxChunkAgeMs: 120 * MINUTE,
  flushCheckMs: 30_000,
  flushBackoffMinMs: 1_000,
  flushBackoffMaxMs: MINUTE,
  maxReturnedStreamErrors: 10,
  maxHeadBytes: 60 * MB,
  segmentBytes: 16 * MB,
  flushBytes: 512 * MB,
  maxUnflushedBytes: 1024 * MB,
  maxWalBytes: 1024 * MB,
  concurrentEncodes: 4,
};
