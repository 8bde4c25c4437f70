import { setImmediate as nextTurn } from 'node:timers/promises';
import { quorum } from '../ring/index.ts';
import type { BufferPool, Loan } from '../rpc/buffer-pool.ts';
import { PushRejectedError } from '../rpc/ingester.ts';
import { encodePushBatch, type StreamRows } from '../rpc/push-batch.ts';
import { splitIntoRuns } from '../rpc/push-runs.ts';

/** One stream and the ingesters that are to keep it. */
export interface Placed {
  readonly rows: readonly StreamRows[];
  readonly ingesters: readonly string[];
  /** About the size of the rows. */
  readonly bytes: number;
}

/** The batch may be looked at until the promise settles. */
export type Send = (ingester: string, batch: Uint8Array) => Promise<void>;

export interface ReplicateOptions {
  readonly replicationFactor: number;
  /**
   * What a batch may take, for ingesters of other processes: a stream with more goes in runs of rows, and only a row that
   * is larger by itself is sent all the same. Null in one process: streams stay whole.
   */
  readonly maxBatchBytes: number | null;
}

/** Bytes of lines in one batch within a process, unless a single stream has more: encoding them takes about 8 ms. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** What a row and a stream take in a batch beside their texts. */
const ROW_BYTES = 16;
const STREAM_BYTES = 64;

/**
 * Sends each stream to its ingesters and resolves when every stream is kept by a quorum of `replicationFactor`. An
 * ordinary push is one batch an ingester; a very large one goes in several, one after the other. Rejects with an
 * ingester's error when some stream cannot reach its quorum; what was taken stays stored, and the other streams are
 * still tried, though not with an ingester that could not be reached: each costs its time once. An error that makes
 * clients send again goes before one that does not, among the ingesters of a stream as among streams: who is told that
 * rows are refused drops them. Batches take their memory from `pool`, until the last ingester is done with them.
 */
export async function replicate(
  tenant: string,
  streams: readonly Placed[],
  { replicationFactor, maxBatchBytes }: ReplicateOptions,
  send: Send,
  pool: BufferPool,
): Promise<void> {
  const pieces = maxBatchBytes === null ? streams : streams.flatMap((stream) => inPieces(stream, maxBatchBytes));
  const limit = maxBatchBytes ?? BATCH_BYTES;
  const unreachable = new Map<string, unknown>();
  const sendOnce: Send = async (id, batch) => {
    if (unreachable.has(id)) throw unreachable.get(id);
    try {
      await send(id, batch);
    } catch (error: unknown) {
      if (!(error instanceof PushRejectedError)) unreachable.set(id, error);
      throw error;
    }
  };
  let failure: { readonly error: unknown } | null = null;
  for (let start = 0; start < pieces.length; ) {
    let end = start;
    for (let bytes = 0; end < pieces.length && (end === start || bytes + pieces[end]!.bytes <= limit); end++) {
      bytes += pieces[end]!.bytes;
    }
    if (start > 0) await nextTurn();
    try {
      await replicateTogether(tenant, pieces.slice(start, end), replicationFactor, sendOnce, pool);
    } catch (error: unknown) {
      if (failure === null || !isFinal(error) || isFinal(failure.error)) failure = { error };
    }
    start = end;
  }
  if (failure !== null) throw failure.error;
}

/** Whether the same rows would be refused again. */
const isFinal = (error: unknown): boolean =>
  error instanceof PushRejectedError && error.status < 500 && error.status !== 429;

/** Parts of a stream that fit a batch, with what they take there. */
function inPieces({ rows, bytes, ingesters }: Placed, maxBatchBytes: number): Placed[] {
  const sizeOf = (run: StreamRows, texts: number): number =>
    texts + STREAM_BYTES + run.labels.length + ROW_BYTES * run.rowCount;
  const whole = rows.reduce((sum, run) => sizeOf(run, sum), bytes);
  if (whole <= maxBatchBytes) return [{ rows, bytes: whole, ingesters }];
  return rows.flatMap((own) =>
    splitIntoRuns(own, maxBatchBytes).map((run) => ({ rows: [run], bytes: sizeOf(run, textBytes(run)), ingesters })),
  );
}

function textBytes({ firstRow, rowCount, lineLengths, metaSetCount, metaEnds }: StreamRows): number {
  let bytes = metaSetCount === 0 ? 0 : metaEnds[metaSetCount - 1]!;
  for (let row = firstRow; row < firstRow + rowCount; row++) bytes += lineLengths[row]!;
  return bytes;
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
  /** By stream the error to be told, should it come to that. */
  const errors = new Map<number, unknown>();
  let refusal: { readonly error: unknown } | null = null;
  /** Streams of which it is not known yet what becomes of them. */
  let open = streams.length;
  const batches = new Map<string, Batch>();
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      if (--open > 0) return;
      if (refusal === null) resolve();
      else reject(refusal.error as Error);
    };
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
          for (const index of indexes) if (--missing[index]! === 0) settle();
        },
        (error: unknown) => {
          for (const index of indexes) {
            if (!errors.has(index) || !isFinal(error) || isFinal(errors.get(index))) errors.set(index, error);
            if (--spare[index]! !== -1) continue;
            const told = errors.get(index);
            // All is sent again: there is nothing to wait for.
            if (!isFinal(told)) reject(told as Error);
            refusal ??= { error: told };
            settle();
          }
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
