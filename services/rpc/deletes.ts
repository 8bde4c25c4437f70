import type { Labels } from '../../logql/labels.ts';
import type { DeleteRule } from '../../storage/compaction/index.ts';

/** A delete request that is not carried out yet. */
export interface PendingDelete {
  readonly rule: DeleteRule;
  /** Whether the request selects a stream with these labels. */
  readonly matches: (labels: Labels) => boolean;
}

/** What the read path asks of whoever keeps delete requests. */
export interface DeleteSource {
  /** Requests that hide rows from the tenant's queries now. */
  pending(tenant: string): readonly PendingDelete[];
}

const NONE: readonly PendingDelete[] = [];

/** Where deletes are off. */
export const noDeletes: DeleteSource = { pending: () => NONE };
