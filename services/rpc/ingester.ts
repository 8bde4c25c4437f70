import type { Labels } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { HeadRows } from '../../storage/block/index.ts';
import type { EncodedBlock } from '../../storage/block/types.ts';
import type { StreamBatch } from './push-batch.ts';
import type { ReadLease } from './read-lease.ts';

/**
 * What the other services ask of an ingester. `services/ingester` implements it in the process; `remote-ingester.ts`
 * across processes. An aborted `signal` cancels the call: it rejects with the signal's reason. Questions about rows reject
 * while the write-ahead log is read: with NotReadableError here, with RpcError `unavailable` across processes.
 */
export interface IngesterClient {
  readonly id: string;
  /**
   * Stores a batch (`push-batch.ts`); resolves once it is in the write-ahead log and visible to queries. Rejects with
   * `PushRejectedError` when part or all of it was refused; what was not refused is stored all the same. `batch` is the
   * caller's again once that is settled.
   */
  push(batch: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Rows that are not yet in the object store, of streams that match, overlapping `[startNs, endNs]`. */
  recent(request: RecentRequest, signal?: AbortSignal): Promise<readonly RecentStream[]>;
  /** Labels of the streams that `recent` finds. */
  series(request: RecentRequest, signal?: AbortSignal): Promise<readonly Labels[]>;
  /** Names of their labels, sorted. */
  labelNames(request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]>;
  /** Values of one of their labels, sorted. */
  labelValues(name: string, request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]>;
  /** How much `recent` would answer. */
  stats(request: RecentRequest, signal?: AbortSignal): Promise<RecentFigures>;
  /**
   * Calls `onRows` for each accepted push of a matching stream until the returned function is called. The rows may only
   * be looked at during the call. `onClosed` is called once when an ingester of another process can no longer be
   * followed: nothing comes after it.
   */
  tail(
    tenant: string,
    matchers: readonly Matcher[],
    onRows: (labels: Labels, rows: StreamBatch) => void,
    onClosed?: (error: Error) => void,
  ): () => void;
  /** Cuts and stores everything; resolves when it is in the object store. */
  flush(signal?: AbortSignal): Promise<void>;
}

export interface RecentRequest {
  readonly tenant: string;
  readonly matchers: readonly Matcher[];
  readonly startNs: bigint;
  /** Inclusive. */
  readonly endNs: bigint;
  /**
   * What every row that counts satisfies. An ingester may leave out blocks whose filter proves that they have none; their
   * streams stay in the answer.
   */
  readonly condition?: RowCondition | null;
  /** How long the answer is looked at. Absent: an ingester of this process answers `recent` with a copy. */
  readonly lease?: ReadLease;
}

/** Sums over the cut blocks and heads that overlap the time, whole as they are. */
export interface RecentFigures {
  readonly streams: number;
  /** Cut blocks, and heads. */
  readonly chunks: number;
  readonly rows: number;
  /** Of lines and structured metadata, as `BlockStats` counts them. */
  readonly bytes: number;
}

/** A consistent view of one stream until the lease ends; safe to read from a worker while pushes go on. */
export interface RecentStream {
  readonly labels: Labels;
  /** Cut blocks that are not yet in the object store, oldest cut first; only those that overlap the range. */
  readonly blocks: readonly EncodedBlock[];
  /** Rows being cut by a worker right now, and rows not yet cut, oldest first. */
  readonly heads: readonly HeadRows[];
}

/** The ingester does not know yet what it holds: an answer would lack rows. */
export class NotReadableError extends Error {
  readonly code = 'unavailable';
  readonly retryable = true;
  constructor() {
    super('the ingester is still reading its write-ahead log');
  }
}

/** Part or all of a push was refused. `status` and `message` are what Loki answers. */
export class PushRejectedError extends Error {
  readonly code = 'push_rejected';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
