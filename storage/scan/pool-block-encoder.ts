import { type BlockLimits, type HeadRows, packHeads } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import { WorkerLostError, type WorkerPool } from './worker-pool.ts';

/** Heads of fewer bytes travel together: a message costs as much as encoding one of them. */
const SMALL_BYTES = 16 * 1024;
/** About 10 ms of work. */
const MAX_TOGETHER = 64;

/** Memory for heads that travel together: of one size that holds most of them, and what is kept of it. */
const PACK_BYTES = 512 * 1024;
const MAX_SPARES = 8;

interface Waiting {
  readonly head: HeadRows;
  readonly resolve: (blocks: EncodedBlock[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Cuts heads into blocks on the worker threads. Heads of some size that come in pieces are shared, not copied. */
export class PoolBlockEncoder {
  readonly #pool: WorkerPool;
  readonly #limits: BlockLimits;
  /** Small heads of this turn. */
  #waiting: Waiting[] = [];
  /** Shared and used again: moved to a worker, each pack would be garbage of its heap, which it looks for late. */
  readonly #spares: SharedArrayBuffer[] = [];

  constructor(pool: WorkerPool, limits: BlockLimits) {
    this.#pool = pool;
    this.#limits = limits;
  }

  async encode(head: HeadRows): Promise<EncodedBlock[]> {
    if (('memories' in head ? head.lineBytes : head.bytes.byteLength) >= SMALL_BYTES)
      return (await this.#run([head]))[0]!;
    const { promise, resolve, reject } = Promise.withResolvers<EncodedBlock[]>();
    if (this.#waiting.push({ head, resolve, reject }) === 1) queueMicrotask(() => void this.#send());
    if (this.#waiting.length === MAX_TOGETHER) void this.#send();
    return promise;
  }

  async #send(): Promise<void> {
    const together = this.#waiting;
    if (together.length === 0) return; // there were enough of them before the turn was over
    this.#waiting = [];
    try {
      const blocks = await this.#run(together.map(({ head }) => head));
      together.forEach(({ resolve }, i) => {
        resolve(blocks[i]!);
      });
    } catch (error: unknown) {
      // One that cannot be encoded must not hold up the others.
      for (const { head, resolve, reject } of together) {
        if (together.length === 1) reject(error);
        else this.#run([head]).then(([blocks]) => resolve(blocks!), reject);
      }
    }
  }

  async #runPacked(heads: readonly HeadRows[]): Promise<EncodedBlock[][]> {
    let memory: SharedArrayBuffer | undefined;
    const packed = packHeads(heads, (bytes) => {
      memory =
        (bytes <= PACK_BYTES ? this.#spares.pop() : undefined) ?? new SharedArrayBuffer(Math.max(bytes, PACK_BYTES));
      return memory;
    });
    const blocks = await this.#pool.run<EncodedBlock[][]>({ kind: 'encode', heads: packed, limits: this.#limits });
    // Only now: whoever fails may still look at it.
    if (memory?.byteLength === PACK_BYTES && this.#spares.length < MAX_SPARES) this.#spares.push(memory);
    return blocks;
  }

  async #run(heads: readonly HeadRows[]): Promise<EncodedBlock[][]> {
    const limits = this.#limits;
    for (let attempt = 1; ; attempt++) {
      try {
        if (heads.length === 1) return await this.#pool.run<EncodedBlock[][]>({ kind: 'encode', heads, limits });
        return await this.#runPacked(heads);
      } catch (error: unknown) {
        // The rows are still in the heads: another worker can do it again.
        if (!(error instanceof WorkerLostError) || attempt >= 3) throw error;
      }
    }
  }
}
