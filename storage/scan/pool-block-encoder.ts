import { type BlockLimits, type HeadRows, packHeads } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import { WorkerLostError, type WorkerPool } from './worker-pool.ts';

/** Memory for heads that travel together: of one size that holds most of them, and what is kept of it. */
const PACK_BYTES = 512 * 1024;
const MAX_SPARES = 8;

/** Cuts heads into blocks on the worker threads. Heads of some size that come in pieces are shared, not copied. */
export class PoolBlockEncoder {
  readonly #pool: WorkerPool;
  readonly #limits: BlockLimits;
  /** Shared and used again: moved to a worker, each pack would be garbage of its heap, which it looks for late. */
  readonly #spares: SharedArrayBuffer[] = [];

  constructor(pool: WorkerPool, limits: BlockLimits) {
    this.#pool = pool;
    this.#limits = limits;
  }

  async encode(head: HeadRows): Promise<EncodedBlock[]> {
    return (await this.#retried(() => this.#run([head])))[0]!;
  }

  /** In one message, which costs as much as encoding one of some kB. */
  encodeTogether(heads: readonly HeadRows[]): Promise<EncodedBlock[][]> {
    return this.#retried(() => this.#runPacked(heads));
  }

  async #runPacked(heads: readonly HeadRows[]): Promise<EncodedBlock[][]> {
    let memory: SharedArrayBuffer | undefined;
    const packed = packHeads(heads, (bytes) => {
      const spare = bytes <= PACK_BYTES ? this.#spares.pop() : undefined;
      memory = spare ?? new SharedArrayBuffer(Math.max(bytes, PACK_BYTES));
      return memory;
    });
    const blocks = await this.#run(packed);
    // Only now: whoever fails may still look at it.
    if (memory?.byteLength === PACK_BYTES && this.#spares.length < MAX_SPARES) this.#spares.push(memory);
    return blocks;
  }

  #run(heads: readonly HeadRows[]): Promise<EncodedBlock[][]> {
    return this.#pool.run<EncodedBlock[][]>({ kind: 'encode', heads, limits: this.#limits });
  }

  async #retried<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error: unknown) {
        // The rows are still in the heads: another worker can do it again.
        if (!(error instanceof WorkerLostError) || attempt >= 3) throw error;
      }
    }
  }
}
