import type { HeadRows } from '../../storage/block/index.ts';
import type { EncodedBlock } from '../../storage/block/types.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { BlockMemory } from './block-memory.ts';
import type { Head } from './head.ts';
import type { IngesterMetrics } from './metrics.ts';
import type { Cut, Stream } from './stream.ts';

/** Makes blocks of rows: sorted, without exact duplicates, compressed. A worker pool, or the same in place. */
export interface BlockEncoder {
  encode(head: HeadRows): Promise<EncodedBlock[]>;
  /** The blocks of each of some small heads; rejects when one of them cannot be encoded, and none is read any more. */
  encodeTogether(heads: readonly HeadRows[]): Promise<EncodedBlock[][]>;
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
const MAX_WAIT_MS = 2000;
/**
 * Cuts that wait longer ask for more workers than one. With the backlog that pushes wait for, that is a worker that gets
 * little of a core, or work that costs much; another thread takes 20 MB.
 */
const MAX_CALM_MS = 500;
/** Of those that had their turn so many may stay in line, or half of the line. */
const MANY_SERVED = 256;
/** Memory of cuts that may be encoded at once however many they are. */
const SMALL_WORK_BYTES = 1 << 20;
/** Cuts of one head and less memory than this are encoded together, up to so many of up to so many bytes. */
const SMALL_CUT_BYTES = 16 * 1024;
const GROUP_CUTS = 64;
const GROUP_BYTES = 256 * 1024;

/** Cuts that are encoded together. A promise, a closure and a place in line for each of 100,000 would be much of a flush. */
interface Group {
  readonly cuts: Cut[];
  bytes: number;
  /** How often encoding has failed before. */
  readonly failures: number;
  /** Resolves once it is encoded, as far as that went well: what failed is in groups of its own by then. */
  readonly done: PromiseWithResolvers<void>;
}

/** Cuts heads and has them encoded, a few at a time. Rows stay visible all along: a cut changes from heads to blocks in one step. */
export class Cutter {
  readonly #encoder: BlockEncoder;
  readonly #blocks: BlockMemory;
  readonly #memory: MemoryUse;
  readonly #metrics: IngesterMetrics;
  readonly #maxBacklogBytes: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #concurrency: number;
  #running = 0;
  #runningBytes = 0;
  /** In order; those before `#served` had their turn. Not shifted: a flush may bring 100,000, and each would move all. */
  #waiting: { readonly bytes: number; readonly sinceMs: number; readonly start: () => void }[] = [];
  #served = 0;
  /** Small cuts of this turn. */
  #gathering: Group | null = null;
  readonly #encoding = new Map<Cut, Group>();
  /** Memory of cuts that are not encoded yet. */
  #backlogBytes = 0;
  /** Told when there is room again. */
  #relieved: PromiseWithResolvers<void> | null = null;
  readonly #stopping = new AbortController();

  constructor(options: {
    readonly encoder: BlockEncoder;
    readonly blocks: BlockMemory;
    readonly concurrency: number;
    readonly maxBacklogBytes: number;
    readonly memory: MemoryUse;
    readonly metrics: IngesterMetrics;
    readonly clock: Clock;
    readonly logger: Logger;
  }) {
    this.#encoder = options.encoder;
    this.#blocks = options.blocks;
    this.#concurrency = options.concurrency;
    this.#maxBacklogBytes = options.maxBacklogBytes;
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
    this.#backlogBytes += cut.memoryBytes;
    this.#metrics.memoryChunks.inc();
    if (cut.memoryBytes >= SMALL_CUT_BYTES || cut.heads!.length > 1) this.#encode(this.#add(cut, newGroup()));
    else this.#gather(cut);
  }

  #gather(cut: Cut): void {
    if (this.#gathering === null) {
      this.#gathering = newGroup();
      queueMicrotask(() => this.#sendGathered());
    }
    const { cuts, bytes } = this.#add(cut, this.#gathering);
    if (cuts.length === GROUP_CUTS || bytes >= GROUP_BYTES) this.#sendGathered();
  }

  #sendGathered(): void {
    const group = this.#gathering;
    if (group === null) return; // sent before the turn was over
    this.#gathering = null;
    this.#encode(group);
  }

  #add(cut: Cut, group: Group): Group {
    group.cuts.push(cut);
    group.bytes += cut.memoryBytes;
    this.#encoding.set(cut, group);
    return group;
  }

  /**
   * Resolves at once, or when less waits to be encoded, or when that takes long: rows that come faster than workers encode
   * them must not pile up, and nobody shall wait for workers that fail.
   */
  async room(): Promise<void> {
    if (this.#backlogBytes <= this.#maxBacklogBytes) return;
    this.#relieved ??= Promise.withResolvers();
    const given = new AbortController();
    const signal = AbortSignal.any([given.signal, this.#stopping.signal]);
    await Promise.race([this.#relieved.promise, this.#clock.sleep(MAX_WAIT_MS, signal).catch(() => {})]); // stopped, or there is room
    given.abort(new Error('there is room'));
  }

  /** Resolves once the cut has its blocks, or the cutter is stopped. */
  async whenEncoded(cut: Cut): Promise<void> {
    for (;;) {
      const group = this.#encoding.get(cut);
      if (group === undefined) return;
      await group.done.promise;
    }
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
    while (this.#encoding.size > 0) {
      await Promise.all([...new Set(this.#encoding.values())].map(({ done }) => done.promise));
    }
  }

  #encode(group: Group): void {
    this.#encodeGroup(group).then(group.done.resolve, group.done.reject);
  }

  async #encodeGroup({ cuts, bytes, failures }: Group): Promise<void> {
    if (this.#mayStart(bytes)) this.#started(bytes);
    else await new Promise<void>((start) => this.#waiting.push({ bytes, sinceMs: this.#clock.nowMs(), start }));
    try {
      const started = performance.now();
      const blocks = await this.#blocksOf(cuts);
      const seconds = (performance.now() - started) / 1000;
      cuts.forEach((cut, i) => {
        this.#encoded(cut, blocks[i]!, seconds);
      });
      for (const cut of cuts) this.#encoding.delete(cut);
    } catch (error: unknown) {
      for (const cut of cuts) this.#encoding.delete(cut);
      if (!this.#stopping.signal.aborted) this.#failed(cuts, failures, error); // else the rows are in the log
    }
    this.#relieve(bytes);
    this.#finished(bytes);
  }

  #failed(cuts: readonly Cut[], failures: number, error: unknown): void {
    if (cuts.length === 1 && failures === 0) {
      this.#logger.error('rows cannot be encoded; trying again', { err: error });
    }
    // One by one: what fails must not hold up what does not.
    for (const cut of cuts) {
      if (cut.blocks !== null) continue;
      this.#backlogBytes += cut.memoryBytes;
      if (cuts.length > 1) this.#encode(this.#add(cut, newGroup()));
      else void this.#encodeAgain(this.#add(cut, newGroup(failures + 1)));
    }
  }

  async #encodeAgain(group: Group): Promise<void> {
    try {
      await this.#clock.sleep(RETRY_MS, this.#stopping.signal);
    } catch {
      for (const cut of group.cuts) this.#encoding.delete(cut); // stopped while waiting; the rows are in the log
      group.done.resolve();
      return;
    }
    this.#encode(group);
  }

  #encoded(cut: Cut, encoded: readonly EncodedBlock[], seconds: number): void {
    const blocks = encoded.map((block) => this.#blocks.keep(block));
    this.#metrics.encodeTime.observe(seconds);
    let bytes = 0;
    for (const block of blocks) bytes += block.bytes.length;
    this.#memory.cutBytes += bytes - cut.memoryBytes;
    this.#memory.encodedBytes += bytes;
    cut.memoryBytes = bytes;
    cut.blocks = blocks;
    for (const head of cut.heads!) head.release();
    cut.heads = null;
  }

  async #blocksOf(cuts: readonly Cut[]): Promise<EncodedBlock[][]> {
    if (cuts.length > 1) return await this.#encoder.encodeTogether(cuts.map((cut) => cut.heads![0]!.pieces()));
    const heads = cuts[0]!.heads!;
    return [heads.length === 1 ? await this.#encoder.encode(heads[0]!.pieces()) : await this.#encodeAll(heads)];
  }

  /** Rejects once no head is read any more: the next attempt may end, and give the memory back, before this one's rest. */
  async #encodeAll(heads: readonly Head[]): Promise<EncodedBlock[]> {
    const encodings = heads.map((head) => this.#encoder.encode(head.pieces()));
    await Promise.allSettled(encodings);
    return (await Promise.all(encodings)).flat();
  }

  #relieve(bytes: number): void {
    this.#backlogBytes -= bytes;
    if (this.#backlogBytes > this.#maxBacklogBytes) return;
    this.#relieved?.resolve();
    this.#relieved = null;
  }

  /** Small ones beyond the number: they travel together. */
  #mayStart(bytes: number): boolean {
    return (
      this.#running < this.#concurrency * (this.#isBehind() ? 2 : 1) || this.#runningBytes + bytes <= SMALL_WORK_BYTES
    );
  }

  #isBehind(): boolean {
    const next = this.#waiting[this.#served];
    return next !== undefined && this.#clock.nowMs() - next.sinceMs > MAX_CALM_MS;
  }

  #started(bytes: number): void {
    this.#running++;
    this.#runningBytes += bytes;
  }

  #finished(bytes: number): void {
    this.#running--;
    this.#runningBytes -= bytes;
    for (; this.#served < this.#waiting.length; this.#served++) {
      const next = this.#waiting[this.#served]!;
      if (!this.#mayStart(next.bytes)) {
        this.#forgetServed();
        return;
      }
      this.#started(next.bytes);
      next.start();
    }
    this.#waiting = [];
    this.#served = 0;
  }

  /** While rows come faster than they are encoded, there is always somebody who waits. */
  #forgetServed(): void {
    if (this.#served < MANY_SERVED || this.#served < this.#waiting.length / 2) return;
    this.#waiting.splice(0, this.#served);
    this.#served = 0;
  }
}

const newGroup = (failures = 0): Group => ({ cuts: [], bytes: 0, failures, done: Promise.withResolvers() });
