import { formatRfc3339, type Instant } from '../../logql/units/rfc3339.ts';
import type { Limits } from '../config/limits.ts';
import type { PushRows } from './push-rows.ts';
import type { Refusal } from './stream-labels.ts';

/** Between which times an entry is taken, and up to which length of its line: what is asked of each entry. */
export interface EntryBounds {
  /** Null when old entries are taken. */
  readonly oldest: Instant | null;
  readonly newest: Instant;
  /** Infinite where there is no limit. */
  readonly maxLineBytes: number;
}

export function entryBounds(limits: Limits, nowMs: number): EntryBounds {
  const oldestMs = nowMs - limits.reject_old_samples_max_age;
  return {
    oldest: limits.reject_old_samples ? fromMs(oldestMs) : null,
    newest: fromMs(nowMs + limits.creation_grace_period),
    maxLineBytes: limits.max_line_size || Number.POSITIVE_INFINITY,
  };
}

function fromMs(ms: number): Instant {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1e6 };
}

/**
 * Loki works with nanoseconds in 64 bits, which hold 1677 to 2262 and wrap around outside. The zero time, too: it reads
 * as a moment in 1754.
 */
export function wrappedTime(seconds: number, nanos: number): [seconds: number, nanos: number] {
  const ns = BigInt.asIntN(64, BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
  const rest = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [Number((ns - rest) / 1_000_000_000n), Number(rest)];
}

/** Why an entry is refused, or null. `metadataBytes` are those of names and values; `stream` is the label text. */
export function checkEntry(
  rows: PushRows,
  row: number,
  metadataBytes: number,
  bounds: EntryBounds,
  limits: Limits,
  stream: string,
): Refusal | null {
  let seconds = rows.seconds[row]!;
  let nanos = rows.nanos[row]!;
  if (seconds >= 9223372036 || seconds <= -9223372036) [seconds, nanos] = wrappedTime(seconds, nanos);
  const { oldest, newest, maxLineBytes } = bounds;
  if (oldest !== null && (seconds < oldest.seconds || (seconds === oldest.seconds && nanos < oldest.nanos))) {
    const time = formatRfc3339(rows.seconds[row]!);
    const limit = formatRfc3339(oldest.seconds);
    return {
      reason: 'greater_than_max_sample_age',
      message: `entry for stream '${stream}' has timestamp too old: ${time}, oldest acceptable timestamp is: ${limit}`,
    };
  }
  if (seconds > newest.seconds || (seconds === newest.seconds && nanos > newest.nanos)) {
    const time = formatRfc3339(rows.seconds[row]!);
    return { reason: 'too_far_in_future', message: `entry for stream '${stream}' has timestamp too new: ${time}` };
  }
  const lineLength = rows.lineLengths[row]!;
  if (lineLength > maxLineBytes) {
    return {
      reason: 'line_too_long',
      message: `max entry size '${maxLineBytes}' bytes exceeded for stream '${stream}' while adding an entry with length '${lineLength}' bytes`,
    };
  }
  const pairCount = rows.pairCounts[row]!;
  return pairCount === 0 ? null : checkMetadata(pairCount, metadataBytes, limits, stream);
}

function checkMetadata(pairCount: number, bytes: number, limits: Limits, stream: string): Refusal | null {
  const advice = (verb: string, limit: string): string =>
    `Please see \`limits_config.${limit}\` or contact your Loki administrator to ${verb} it`;
  if (!limits.allow_structured_metadata) {
    return {
      reason: 'disallowed_structured_metadata',
      message: `stream '${stream}' includes structured metadata, but this feature is disallowed. ${advice('enable', 'allow_structured_metadata')}`,
    };
  }
  const maxBytes = limits.max_structured_metadata_size;
  if (maxBytes !== 0 && bytes > maxBytes) {
    return {
      reason: 'structured_metadata_too_large',
      message: `stream '${stream}' has structured metadata too large: '${bytes}' bytes, limit: '${maxBytes}' bytes. ${advice('increase', 'max_structured_metadata_size')}`,
    };
  }
  const maxCount = limits.max_structured_metadata_entries_count;
  if (maxCount !== 0 && pairCount > maxCount) {
    return {
      reason: 'structured_metadata_too_many',
      message: `stream '${stream}' has too many structured metadata labels: '${pairCount}', limit: '${maxCount}'. ${advice('increase', 'max_structured_metadata_entries_count')}`,
    };
  }
  return null;
}
