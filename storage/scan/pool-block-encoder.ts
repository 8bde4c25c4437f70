import type { BlockLimits } from '../block/index.ts';
import type { EncodedBlock, HeadColumns } from '../block/types.ts';
import { WorkerLostError, type WorkerPool } from './worker-pool.ts';

/** Cuts heads into blocks on the worker threads. The head's columns are shared, not copied. */
export class PoolBlockEncoder {
  readonly #pool: WorkerPool;
  readonly #limits: BlockLimits;

  constructor(pool: WorkerPool, limits: BlockLimits) {
    this.#pool = pool;
    this.#limits = limits;
  }

  async encode(head: HeadColumns): Promise<EncodedBlock[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#pool.run<EncodedBlock[]>({ kind: 'encode', head, limits: this.#limits });
      } catch (error: unknown) {
        // The rows are still in the head: another worker can do it again.
        if (!(error instanceof WorkerLostError) || attempt >= 3) throw error;
      }
    }
  }
}
