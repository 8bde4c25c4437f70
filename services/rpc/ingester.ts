import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { EncodedBlock, HeadColumns } from '../../storage/block/types.ts';
import type { StreamBatch } from './push-batch.ts';

/**
 * What the other services ask of an ingester. `services/ingester` implements it in the process; a gRPC client
 * implements it across processes. Errors carry a stable code and survive the hop (`errors.ts`).
 */
export interface IngesterClient {
  readonly id: string;
  /**
   * Stores a batch (`push-batch.ts`); resolves once it is in the write-ahead log and visible to queries. Rejects with
   * `PushRejectedError` when part or all of it was refused; what was not refused is stored all the same. `batch` is the
   * caller's again once that is settled.
   */
  push(batch: Uint8Array): Promise<void>;
  /** Rows that are not yet in the object store, of streams that match, overlapping `[startNs, endNs]`. */
  recent(request: RecentRequest): Promise<readonly RecentStream[]>;
  /**
   * Calls `onRows` for each accepted push of a matching stream until the returned function is called. The rows may only
   * be looked at during the call.
   */
  tail(tenant: string, matchers: readonly Matcher[], onRows: (labels: Labels, rows: StreamBatch) => void): () => void;
  /** Cuts and stores everything; resolves when it is in the object store. */
  flush(): Promise<void>;
}

export interface RecentRequest {
  readonly tenant: string;
  readonly matchers: readonly Matcher[];
  readonly startNs: bigint;
  /** Inclusive. */
  readonly endNs: bigint;
}

/** A consistent view of one stream; safe to read from a worker while pushes go on. */
export interface RecentStream {
  readonly labels: Labels;
  /** Cut blocks that are not yet in the object store, oldest cut first; only those that overlap the range. */
  readonly blocks: readonly EncodedBlock[];
  /** Rows being cut by a worker right now, and rows not yet cut, oldest first. */
  readonly heads: readonly HeadColumns[];
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
