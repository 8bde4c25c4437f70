import type { StreamBatch } from '../rpc/push-batch.ts';
import { entryBytesOf, totalEntryBytes } from './entry-bytes.ts';
import { formatGoTime, formatRfc3339Seconds } from './go-time.ts';
import type { TokenBucket } from './token-bucket.ts';

/** What decides over new rows of a stream. */
export interface StreamOrder {
  /** Newest accepted timestamp; null before the first row. ns since 1970. */
  readonly newestNs: bigint | null;
  /** Timestamp of the row stored last; null before the first. */
  readonly lastNs: bigint | null;
  /** Whether a row of the batch has the line and the metadata of the row stored last. */
  isLast(batch: StreamBatch, row: number, lineStart: number): boolean;
}

export interface OrderRules {
  /** How far behind the newest accepted row a row may be, ns. */
  readonly windowNs: number;
  /** False: rows older than the newest accepted one are refused. */
  readonly unorderedWrites: boolean;
  /** All rows of the batch are refused when not all fit into the rate; otherwise rows are judged one by one. */
  readonly rateLimitWholeStream: boolean;
  readonly bucket: TokenBucket;
  readonly rateBytes: number;
  readonly burstBytes: number;
  readonly nowMs: number;
}

export type RefusalReason = 'per_stream_rate_limit' | 'too_far_behind' | 'out_of_order';

export interface Refusal {
  readonly row: number;
  readonly reason: RefusalReason;
  readonly bytes: number;
  /** Oldest acceptable timestamp when the row was judged; only for `too_far_behind`. */
  readonly cutoffNs: bigint;
}

export interface Verdict {
  /** Rows to store, ascending; null for all of them. */
  readonly rows: Uint32Array | null;
  readonly refusals: readonly Refusal[];
}

const ALL: Verdict = { rows: null, refusals: [] };

/**
 * Judges a batch as Loki does: an exact repetition of the last row is skipped without a word; then the stream's rate;
 * then the window, which moves with the rows of the batch itself.
 */
export function judge(batch: StreamBatch, order: StreamOrder, rules: OrderRules): Verdict {
  // Numbers after the batch's base; a difference beyond 2^53 loses digits only where the comparison is decided anyway.
  const relative = (ns: bigint | null) => (ns === null ? Number.NEGATIVE_INFINITY : Number(ns - batch.baseNs));
  let newest = relative(order.newestNs);
  let last = order.lastNs === null ? Number.NaN : relative(order.lastNs);
  const backBy = rules.unorderedWrites ? rules.windowNs : 0;

  if (batch.ascending && batch.rowCount > 0) {
    const first = batch.offsetsNs[0]!;
    if (first >= newest - backBy && first !== last && rules.bucket.allow(totalEntryBytes(batch), rules)) return ALL;
  }

  const entryBytes = entryBytesOf(batch);
  const { offsetsNs, lineLengths, lineBytes, metaIndexes } = batch;
  const rows = new Uint32Array(batch.rowCount);
  let count = 0;
  let accepted = 0;
  let refusals: Refusal[] = [];
  let lastRow = -1;
  let lastStart = 0;
  let start = 0;
  for (let row = 0; row < batch.rowCount; row++) {
    const offset = offsetsNs[row]!;
    const length = lineLengths[row]!;
    const at = start;
    start += length;
    if (offset === last) {
      const isRepetition =
        lastRow < 0
          ? order.isLast(batch, row, at)
          : lineLengths[lastRow] === length &&
            metaIndexes[lastRow] === metaIndexes[row] &&
            lineBytes.compare(lineBytes, lastStart, lastStart + length, at, at + length) === 0;
      if (isRepetition) continue;
    }
    const bytes = entryBytes.of(row);
    if (!rules.rateLimitWholeStream && !rules.bucket.allow(bytes, rules)) {
      refusals.push({ row, reason: 'per_stream_rate_limit', bytes, cutoffNs: 0n });
      continue;
    }
    if (offset < newest - backBy) {
      const cutoffNs = batch.baseNs + BigInt(newest - backBy);
      refusals.push({ row, reason: rules.unorderedWrites ? 'too_far_behind' : 'out_of_order', bytes, cutoffNs });
      continue;
    }
    accepted += bytes;
    last = offset;
    lastRow = row;
    lastStart = at;
    if (offset > newest) newest = offset;
    rows[count++] = row;
  }
  if (rules.rateLimitWholeStream && !rules.bucket.allow(accepted, rules)) {
    refusals = [];
    for (let i = 0; i < count; i++) {
      const row = rows[i]!;
      refusals.push({ row, reason: 'per_stream_rate_limit', bytes: entryBytes.of(row), cutoffNs: 0n });
    }
    count = 0;
  }
  return { rows: count === batch.rowCount ? null : rows.slice(0, count), refusals };
}

export interface RefusalContext {
  readonly tenant: string;
  readonly batch: StreamBatch;
  readonly rateBytes: number;
  /** How many rows the text names; 0 for all. */
  readonly maxListed: number;
}

/** Status and text for the refusals of one stream; the status is that of the last one. */
export function describeRefusals(
  refusals: readonly Refusal[],
  context: RefusalContext,
): { status: number; message: string } {
  const { batch, tenant, maxListed } = context;
  const listed = maxListed > 0 ? refusals.slice(0, maxListed) : refusals;
  let message = '';
  for (const refusal of listed) {
    const ns = batch.baseNs + BigInt(batch.offsetsNs[refusal.row]!);
    message += `entry with timestamp ${formatGoTime(ns)} ignored, reason: '${reasonText(refusal, ns, context)}',\n`;
  }
  message += `user '${tenant}', total ignored: ${refusals.length} out of ${batch.rowCount} for stream: ${batch.labels}`;
  return { status: refusals.at(-1)!.reason === 'per_stream_rate_limit' ? 429 : 400, message };
}

function reasonText(refusal: Refusal, ns: bigint, { batch, rateBytes }: RefusalContext): string {
  switch (refusal.reason) {
    case 'too_far_behind':
      return `entry too far behind, entry timestamp is: ${formatRfc3339Seconds(ns)}, oldest acceptable timestamp is: ${formatRfc3339Seconds(refusal.cutoffNs)}`;
    case 'out_of_order':
      return 'entry out of order';
    case 'per_stream_rate_limit':
      return `Per stream rate limit exceeded (limit: ${formatByteSize(rateBytes)}/sec) while attempting to ingest for stream '${batch.labels}' totaling ${formatByteSize(refusal.bytes)}, consider splitting a stream via additional labels or contact your Loki administrator to see if the limit can be increased`;
    default:
      return refusal.reason satisfies never;
  }
}

const UNITS = ['EB', 'PB', 'TB', 'GB', 'MB', 'KB'];

/** The largest unit (powers of 1024) that divides the size: `3MB`, `100B`, `1536KB`. */
export function formatByteSize(bytes: number): string {
  const whole = Math.trunc(bytes);
  if (whole === 0) return '0B';
  for (let i = 0; i < UNITS.length; i++) {
    const unit = 1024 ** (UNITS.length - i);
    if (whole % unit === 0) return `${whole / unit}${UNITS[i]}`;
  }
  return `${whole}B`;
}
