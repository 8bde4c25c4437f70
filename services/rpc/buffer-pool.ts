import { classBytes, sizeClass } from './size-classes.ts';

/**
 * Buffers that one piece of work gives back and the next one takes. Fresh memory of this size costs page faults, and
 * makes V8 collect garbage by its volume alone: with a buffer of its own for each push, every third of ingest's CPU
 * seconds was spent there.
 */

/** Below this, Node's own slabs are cheaper. */
const MIN_BYTES = 4096;
/** Larger ones are rare, and would be kept for nothing. */
const MAX_BYTES = 16 * 1024 * 1024;

/** A buffer on loan. Nobody may hold it, or a view of it, after it was given back. */
export interface Loan extends Disposable {
  /** Starts at a multiple of 8 in its memory. What it holds at first is anything. */
  readonly bytes: Buffer;
}

export class BufferPool {
  readonly #keptLimit: number;
  /** By `sizeClass`. */
  readonly #free: ArrayBuffer[][] = [];
  #kept = 0;

  /** `keptBytes`: what may lie idle, at most. */
  constructor(keptBytes: number) {
    this.#keptLimit = keptBytes;
  }

  /** Bytes that lie idle. */
  get keptBytes(): number {
    return this.#kept;
  }

  take(bytes: number): Loan {
    if (bytes < MIN_BYTES || bytes > MAX_BYTES) return { bytes: fresh(bytes), [Symbol.dispose]: nothing };
    const place = sizeClass(bytes);
    let memory = this.#free[place]?.pop();
    if (memory === undefined) memory = Buffer.allocUnsafeSlow(classBytes(place)).buffer as ArrayBuffer;
    else this.#kept -= memory.byteLength;
    let lent: ArrayBuffer | null = memory;
    return {
      bytes: Buffer.from(memory, 0, bytes),
      [Symbol.dispose]: () => {
        if (lent === null) return;
        this.#keep(place, lent);
        lent = null;
      },
    };
  }

  #keep(place: number, memory: ArrayBuffer): void {
    if (this.#kept + memory.byteLength > this.#keptLimit) return;
    this.#kept += memory.byteLength;
    (this.#free[place] ??= []).push(memory);
  }
}

function nothing(): void {}

/** `allocUnsafe` hands out places in a slab at multiples of 8. */
const fresh = (bytes: number): Buffer =>
  bytes < MIN_BYTES ? Buffer.allocUnsafe(bytes) : Buffer.allocUnsafeSlow(bytes);

/** Frees what nobody looks at any more, where it has memory of its own: V8 would do so with its next collection. */
export function freeNow(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) buffer.transfer(0);
}
