import { createObjectStore } from '../../storage/objectstore/index.ts';
import type { DeleteSource } from '../rpc/deletes.ts';
import { deleteRequestsOf } from './compactor-part.ts';
import type { Host } from './host.ts';
import { objectStoreConfig } from './storage-part.ts';

/** As often as processes with a catalog look at them. */
const LOAD_EVERY_MS = 15_000;

/**
 * The delete requests as a process sees them that keeps no catalog: read now, and again and again. What it shows are rows
 * of ingesters as they come, so a request that was carried out has nothing left to hide from it. Throws ObjectStoreError.
 */
export async function followDeletes(host: Host): Promise<DeleteSource> {
  const { clock } = host;
  const logger = host.logger('deletes');
  const store = await createObjectStore({ ...objectStoreConfig(host.config), cache: undefined });
  const requests = deleteRequestsOf(host, { store });
  await requests.load();
  const ending = new AbortController();
  const loadForEver = async (): Promise<void> => {
    let isFailing = false;
    for (;;) {
      await clock.sleep(LOAD_EVERY_MS, ending.signal);
      try {
        await requests.load();
        if (isFailing) logger.info('the delete requests can be read again');
        isFailing = false;
      } catch (err: unknown) {
        if (!isFailing)
          logger.error('the delete requests cannot be read; those known before go on hiding rows', { err });
        isFailing = true;
      }
    }
  };
  const loading = loadForEver().catch((error: unknown) => {
    if (!ending.signal.aborted) throw error;
  });
  host.onStop('deletes', async () => {
    ending.abort(new Error('delete requests are followed no more'));
    await loading;
  });
  return requests;
}
