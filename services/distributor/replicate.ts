import { quorum } from '../ring/index.ts';
import type { StreamRows } from '../rpc/push-batch.ts';
import { encodePushBatch } from '../rpc/push-batch.ts';

/** One stream and the ingesters that are to keep it. */
export interface Placed {
  readonly rows: readonly StreamRows[];
  readonly ingesters: readonly string[];
}

/**
 * Sends each stream to its ingesters, as one batch an ingester, and resolves when every stream is kept by a quorum of
 * `replicationFactor`. Rejects with an ingester's error as soon as some stream cannot reach its quorum any more; what
 * the others stored stays stored. `send` is called once for each ingester.
 */
export async function replicate(
  tenant: string,
  streams: readonly Placed[],
  replicationFactor: number,
  send: (ingester: string, batch: Uint8Array) => Promise<void>,
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
  const batches = new Map<string, Uint8Array>();
  await new Promise<void>((resolve, reject) => {
    for (const [id, indexes] of byIngester) {
      const key = indexes.length === streams.length ? '' : indexes.join(',');
      let batch = batches.get(key);
      if (batch === undefined) {
        batch = encodePushBatch(
          tenant,
          indexes.flatMap((index) => streams[index]!.rows),
        );
        batches.set(key, batch);
      }
      send(id, batch).then(
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
