import type { EncodedBlock, HeadColumns } from '../../storage/block/types.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { BlockMemory } from './block-memory.ts';
import type { IngesterMetrics } from './metrics.ts';
import type { Cut, Stream } from './stream.ts';

/** Makes blocks of rows: sorted, without exact duplicates, compressed. A worker pool, or the same in place. */
export interface BlockEncoder {
  encode(head: HeadColumns): Promise<EncodedBlock[]>;
}

/** Memory of rows that are not in the object store. */
export interface MemoryUse {
  headBytes: number;
  /** Cut rows, as heads and as blocks. */
  cutBytes: number;
  /** Of these, the ones in blocks. */
  encodedBytes: number;
}

const RETRY_MS = 1000;

/** Cuts heads and has them encoded, a few at a time. Rows stay visible all along: a cut changes from heads to blocks in one step. */
export class Cutter {
  readonly #encoder: BlockEncoder;
  readonly #blocks: BlockMemory;
  readonly #memory: MemoryUse;
  readonly #metrics: IngesterMetrics;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #free: number;
  /** In order; those before `#served` had their turn. Not shifted: a flush may bring 100,000, and each would move all. */
  #waiting: (() => void)[] = [];
  #served = 0;
  readonly #encoding = new Map<Cut, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(options: {
    readonly encoder: BlockEncoder;
    readonly blocks: BlockMemory;
    readonly concurrency: number;
    readonly memory: MemoryUse;
    readonly metrics: IngesterMetrics;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#encoder = options.encoder;
    this.#blocks = options.blocks;
    this.#free = options.concurrency;
    this.#memory = options.memory;
    this.#metrics = options.metrics;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  cut(stream: Stream): void {
    const cut = stream.cut();
    if (cut === null) return;
    this.#memory.headBytes -= cut.memoryBytes;
    this.#memory.cutBytes += cut.memoryBytes;
    this.#metrics.memoryChunks.inc();
    this.#encoding.set(cut, this.#encode(cut));
  }

  /** Resolves once the cut has its blocks, or the cutter is stopped. */
  async whenEncoded(cut: Cut): Promise<void> {
    await this.#encoding.get(cut);
  }

  /** The cut is in the object store and no longer in its stream. */
  release(cut: Cut): void {
    this.#memory.cutBytes -= cut.memoryBytes;
    this.#memory.encodedBytes -= cut.memoryBytes;
    for (const block of cut.blocks!) this.#blocks.release(block);
  }

  /** Waits for what is under way; nothing is tried again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the ingester stops'));
    await Promise.all(this.#encoding.values());
  }

  async #encode(cut: Cut): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      for (let failures = 0; ; failures++) {
        try {
          const started = performance.now();
          const encoded = await Promise.all(cut.heads!.map((head) => this.#encoder.encode(head.columns())));
          const blocks = encoded.flat().map((block) => this.#blocks.keep(block));
          this.#metrics.encodeTime.observe((performance.now() - started) / 1000);
          const bytes = blocks.reduce((sum, block) => sum + block.bytes.length, 0);
          this.#memory.cutBytes += bytes - cut.memoryBytes;
          this.#memory.encodedBytes += bytes;
          cut.memoryBytes = bytes;
          cut.blocks = blocks;
          for (const head of cut.heads!) head.release();
          cut.heads = null;
          return;
        } catch (error: unknown) {
          if (this.#stopping.signal.aborted) return; // the rows are in the log
          if (failures === 0) this.#logger.error('rows cannot be encoded; trying again', { err: error });
          try {
            await this.#clock.sleep(RETRY_MS, this.#stopping.signal);
          } catch {
            return; // stopped while waiting
          }
        }
      }
    } finally {
      this.#encoding.delete(cut);
      this.#serveNext();
    }
  }

  #serveNext(): void {
    const next = this.#waiting[this.#served];
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#served++;
    if (this.#served === this.#waiting.length) {
      this.#waiting = [];
      this.#served = 0;
    }
    next();
  }
}
