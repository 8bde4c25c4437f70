import type { EncodedBlock } from '../../storage/block/types.ts';
import { freeNow } from '../rpc/buffer-pool.ts';

/**
 * Where encoded blocks wait for their segment: pages of shared memory, filled one behind the other and used again once all
 * blocks of a page are stored. V8 does not count shared memory when it decides to collect garbage: with memory of its own
 * for each block, what was stored long ago piled up to a hundred MB.
 */
const PAGE_BYTES = 512 * 1024;

class Page {
  readonly memory: SharedArrayBuffer;
  used = 0;
  /** Of these, not yet given back. */
  blocks = 0;
  #readers = 0;
  /** Set once no block is left, for when the last reader is gone. */
  onUnused: (() => void) | null = null;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
  }

  get isRead(): boolean {
    return this.#readers > 0;
  }

  /** A reader looks at blocks of the page until it says `letGo`, also after they were given back. */
  hold(): void {
    this.#readers++;
  }

  letGo(): void {
    if (--this.#readers === 0) this.onUnused?.();
  }
}

/** A block in a page. `bytes` and `filter` are valid until it is given back, and longer for those who hold the page. */
export interface KeptBlock extends EncodedBlock {
  readonly page: Page;
}

export class BlockMemory {
  readonly #maxIdle: number;
  #filling: Page | null = null;
  readonly #idle: SharedArrayBuffer[] = [];

  /** `idleBytes`: what may wait for use, at most. */
  constructor(idleBytes: number) {
    this.#maxIdle = Math.floor(idleBytes / PAGE_BYTES);
  }

  get idleBytes(): number {
    return this.#idle.length * PAGE_BYTES;
  }

  /** Moves a block here: what it lay in is gone. */
  keep({ bytes, stats, filter }: EncodedBlock): KeptBlock {
    const page = this.#pageFor(bytes.length + filter.length);
    const keptBytes = copyTo(page, bytes);
    const keptFilter = copyTo(page, filter);
    page.blocks++;
    freeNow(bytes);
    freeNow(filter);
    return { bytes: keptBytes, stats, filter: keptFilter, page };
  }

  /** Nobody looks at the block any more, but those it was shared with. */
  release({ page }: KeptBlock): void {
    page.blocks--;
    if (page.blocks > 0 || page === this.#filling) return;
    this.#reuse(page);
  }

  #pageFor(bytes: number): Page {
    if (bytes > PAGE_BYTES) return new Page(new SharedArrayBuffer(bytes));
    const filling = this.#filling;
    if (filling !== null && filling.used + bytes <= PAGE_BYTES) return filling;
    if (filling?.blocks === 0) this.#reuse(filling);
    this.#filling = new Page(this.#idle.pop() ?? new SharedArrayBuffer(PAGE_BYTES));
    return this.#filling;
  }

  #reuse(page: Page): void {
    const { memory } = page;
    page.onUnused = () => {
      page.onUnused = null;
      if (memory.byteLength === PAGE_BYTES && this.#idle.length < this.#maxIdle) this.#idle.push(memory);
    };
    if (!page.isRead) page.onUnused();
  }
}

function copyTo(page: Page, bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(page.memory, page.used, bytes.length);
  // `set` takes twice as long where memory is shared: it moves words that other threads may look at.
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).copy(copy);
  page.used += bytes.length;
  return copy;
}
