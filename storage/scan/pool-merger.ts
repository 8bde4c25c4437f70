import type { MergeRequest, MergeResult, OverlapSearch, Overlaps } from '../compaction/index.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';

/** Merges segments in a thread that is there only while there is something to merge: it never keeps a query waiting. */
export class PoolMerger {
  readonly #options: Omit<WorkerPoolOptions, 'size'>;
  #pool: WorkerPool | null = null;

  constructor(options: Omit<WorkerPoolOptions, 'size'>) {
    this.#options = options;
  }

  /** Throws ScanError with the code of what went wrong in the thread, WorkerLostError, and the signal's reason. */
  merge(request: MergeRequest, signal: AbortSignal): Promise<MergeResult> {
    return this.#workers().run<MergeResult>({ kind: 'compact', merge: request }, { signal });
  }

  /** Throws as `merge` does. */
  findOverlaps(search: OverlapSearch, signal: AbortSignal): Promise<Overlaps> {
    return this.#workers().run<Overlaps>({ kind: 'find_overlaps', search }, { signal });
  }

  /** Ends the thread; the next merge starts another. */
  async release(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.stop();
  }

  #workers(): WorkerPool {
    this.#pool ??= new WorkerPool({ ...this.#options, size: 1 });
    return this.#pool;
  }
}
