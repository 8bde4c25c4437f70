import { formatRfc3339 } from '../../logql/units/rfc3339.ts';
import type { Limits } from '../config/limits.ts';
import type { AcceptedStream } from './accepted-streams.ts';
import { checkEntry, entryBounds } from './entry-check.ts';
import { ErrorGroups } from './error-groups.ts';
import { DETECTED_LEVEL } from './metadata-sets.ts';
import { PushError } from './push-error.ts';
import type { PushedStream, PushRows } from './push-rows.ts';
import { SLICE_BYTES, type Sliced } from './sliced.ts';
import { StreamBuilder } from './stream-builder.ts';
import type { KnownStream } from './stream-labels.ts';
import type { TenantRules } from './tenant-rules.ts';

/** Samples and bytes that were refused (or changed) for one reason. */
export interface Loss {
  readonly reason: string;
  readonly stream: KnownStream;
  samples: number;
  bytes: number;
}

export interface ValidatedPush {
  readonly accepted: readonly AcceptedStream[];
  readonly errors: ErrorGroups;
  /** Set when a stream was refused because ingestion is blocked, unless that is to stay silent. */
  readonly blocked: PushError | null;
  readonly discarded: readonly Loss[];
  readonly truncated: readonly Loss[];
}

/**
 * Judges every stream and every entry, in Loki's order: labels, enforced labels, a block on ingestion, then each entry;
 * what is valid survives. Throws PushError when a name of metadata cannot be kept. `streams` are those of `rows`, in order.
 */
export function* validatePush(
  rows: PushRows,
  streams: readonly KnownStream[],
  tenant: string,
  rules: TenantRules,
  nowMs: number,
): Sliced<ValidatedPush> {
  const { limits } = rules;
  const errors = new ErrorGroups();
  const losses = new Losses();
  const truncated = new Losses();
  const accepted: AcceptedStream[] = [];
  let blocked: PushError | null = null;
  let builder: StreamBuilder | null = null;
  const bounds = entryBounds(limits, nowMs);
  let pause = SLICE_BYTES;
  for (let i = 0; i < streams.length; i++) {
    const pushed = rows.streams[i]!;
    const stream = streams[i]!;
    if (pushed.rowCount === 0) continue;
    if (limits.max_line_size_truncate) truncateLines(rows, pushed, stream, rules, truncated);
    const refusal = stream.refusal;
    if (refusal !== null) {
      errors.add(refusal.message);
      losses.add(refusal.reason, stream, pushed.rowCount, pushedBytes(rows, pushed));
      continue;
    }
    const block = blockOf(limits, tenant, stream.policy, nowMs);
    if (block !== null) {
      losses.add(block.reason, stream, pushed.rowCount, pushedBytes(rows, pushed));
      if (block.status !== 200) blocked = new PushError(block.status, block.message);
      continue;
    }
    builder ??= new StreamBuilder(rows, stream, rules);
    builder.begin(pushed, stream);
    for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
      const size = metadataSize(rows, row);
      const problem = checkEntry(rows, row, size, bounds, limits, stream.text);
      if (problem !== null) {
        errors.add(problem.message);
        losses.add(problem.reason, stream, 1, rows.lineLengths[row]! + size);
        pause -= 64;
      } else builder.add(row);
      pause -= rows.lineLengths[row]! + size + 32;
      if (pause < 0) {
        pause = SLICE_BYTES;
        yield;
      }
    }
    const done = builder.finish();
    if (done !== null) accepted.push(done);
  }
  rules.detector.forget();
  return { accepted, errors, blocked, discarded: losses.all, truncated: truncated.all };
}

/** Refusals by reason and stream's place in the metrics. */
class Losses {
  readonly #byKey = new Map<string, Loss>();

  add(reason: string, stream: KnownStream, samples: number, bytes: number): void {
    const key = `${reason}\n${stream.retentionHours}\n${stream.policy}`;
    let loss = this.#byKey.get(key);
    if (loss === undefined) {
      loss = { reason, stream, samples: 0, bytes: 0 };
      this.#byKey.set(key, loss);
    }
    loss.samples += samples;
    loss.bytes += bytes;
  }

  get all(): readonly Loss[] {
    return [...this.#byKey.values()];
  }
}

/** Bytes of names and values of a row, without `detected_level`. */
export function metadataSize(rows: PushRows, row: number): number {
  const count = rows.pairCounts[row]!;
  if (count === 0) return 0;
  const { pairs, source } = rows;
  let size = 0;
  let at = 4 * rows.firstPairs[row]!;
  for (let i = 0; i < count; i++, at += 4) {
    const nameLength = pairs[at + 1]!;
    if (nameLength === DETECTED_LEVEL.length) {
      const start = pairs[at]!;
      if (source[start] === 0x64 && source.toString('latin1', start, start + nameLength) === DETECTED_LEVEL) continue;
    }
    size += nameLength + pairs[at + 3]!;
  }
  return size;
}

function pushedBytes(rows: PushRows, pushed: PushedStream): number {
  let bytes = 0;
  for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
    bytes += rows.lineLengths[row]! + metadataSize(rows, row);
  }
  return bytes;
}

/** Cuts lines that are too long, with the tenant's mark at their end. Writes into the source. */
function truncateLines(
  rows: PushRows,
  pushed: PushedStream,
  stream: KnownStream,
  rules: TenantRules,
  into: Losses,
): void {
  const max = rules.limits.max_line_size;
  const mark = rules.truncateMark;
  if (max === 0 || mark.length >= max) return;
  for (let row = pushed.firstRow; row < pushed.firstRow + pushed.rowCount; row++) {
    const length = rows.lineLengths[row]!;
    if (length <= max) continue;
    rows.source.set(mark, rows.lineStarts[row]! + max - mark.length);
    rows.lineLengths[row] = max;
    rules.detector.forget();
    into.add('line_too_long', stream, 1, length - max);
  }
}

interface Block {
  readonly reason: string;
  readonly status: number;
  readonly message: string;
}

function blockOf(limits: Limits, tenant: string, policy: string, nowMs: number): Block | null {
  const status = limits.block_ingestion_status_code;
  const until = (ms: number): string => `until '${formatRfc3339(ms / 1000)}' with status code '${status}'`;
  if (nowMs < limits.block_ingestion_until) {
    const message = `ingestion blocked for user '${tenant}' ${until(limits.block_ingestion_until)}`;
    return { reason: 'blocked_ingestion', status, message };
  }
  const policyUntil = limits.block_ingestion_policy_until[policy] ?? 0;
  if (nowMs < policyUntil) {
    const message = `ingestion blocked for user '${tenant}' (policy: '${policy}') ${until(policyUntil)}`;
    return { reason: 'blocked_ingestion_policy', status, message };
  }
  return null;
}
