import { setImmediate as nextTurn } from 'node:timers/promises';
import { quorum } from '../ring/index.ts';
import type { BufferPool, Loan } from '../rpc/buffer-pool.ts';
import type { StreamRows } from '../rpc/push-batch.ts';
import { encodePushBatch } from '../rpc/push-batch.ts';

/** One stream and the ingesters that are to keep it. */
export interface Placed {
  readonly rows: readonly StreamRows[];
  readonly ingesters: readonly string[];
  /** About the size of the rows. */
  readonly bytes: number;
}

/** The batch may be looked at until the promise settles. */
export type Send = (ingester: string, batch: Uint8Array) => Promise<void>;

/** Bytes of lines in one batch, unless a single stream has more: encoding them takes about 8 ms. */
const BATCH_BYTES = 8 * 1024 * 1024;

/**
 * Sends each stream to its ingesters and resolves when every stream is kept by a quorum of `replicationFactor`. An
 * ordinary push is one batch an ingester; a very large one goes in several, one after the other. Rejects with an
 * ingester's error when some stream cannot reach its quorum; what was taken stays stored, and the other streams are
 * still tried. Batches take their memory from `pool`.
 */
export async function replicate(
  tenant: string,
  streams: readonly Placed[],
  replicationFactor: number,
  send: Send,
  pool: BufferPool,
): Promise<void> {
  let failure: { readonly error: unknown } | null = null;
  for (let start = 0; start < streams.length; ) {
    let end = start;
    for (let bytes = 0; end < streams.length && (end === start || bytes + streams[end]!.bytes <= BATCH_BYTES); end++) {
      bytes += streams[end]!.bytes;
    }
    if (start > 0) await nextTurn();
    try {
      await replicateTogether(tenant, streams.slice(start, end), replicationFactor, send, pool);
    } catch (error: unknown) {
      failure = { error };
    }
    start = end;
  }
  if (failure !== null) throw failure.error;
}

async function replicateTogether(
  tenant: string,
  streams: readonly Placed[],
  replicationFactor: number,
  send: Send,
  pool: BufferPool,
): Promise<void> {
  const byIngester = new Map<string, number[]>();
  streams.forEach(({ ingesters }, index) => {
    for (const id of ingesters) {
      const indexes = byIngester.get(id);
      if (indexes === undefined) byIngester.set(id, [index]);
      else indexes.push(index);
    }
  });
  const needed = quorum(replicationFactor);
  const missing = streams.map(() => needed);
  const spare = streams.map(({ ingesters }) => ingesters.length - needed);
  let open = streams.length;
  const batches = new Map<string, Batch>();
  await new Promise<void>((resolve, reject) => {
    for (const [id, indexes] of byIngester) {
      const key = indexes.length === streams.length ? '' : indexes.join(',');
      let known = batches.get(key);
      if (known === undefined) {
        known = encoded(
          tenant,
          indexes.flatMap((index) => streams[index]!.rows),
          pool,
        );
        batches.set(key, known);
      }
      const batch = known;
      const { loan } = batch;
      batch.users++;
      const sent = send(id, loan.bytes).finally(() => {
        // An ingester may be at it when the others already made the quorum.
        if (--batch.users === 0) loan[Symbol.dispose]();
      });
      sent.then(
        () => {
          for (const index of indexes) if (--missing[index]! === 0 && --open === 0) resolve();
        },
        (error: unknown) => {
          for (const index of indexes) if (--spare[index]! < 0) reject(error as Error);
        },
      );
    }
  });
}

/** One encoded batch and how many ingesters are taking it. */
interface Batch {
  readonly loan: Loan;
  users: number;
}

function encoded(tenant: string, rows: readonly StreamRows[], pool: BufferPool): Batch {
  let loan: Loan | undefined;
  encodePushBatch(tenant, rows, (bytes) => {
    loan = pool.take(bytes);
    return loan.bytes;
  });
  return { loan: loan!, users: 0 };
}
