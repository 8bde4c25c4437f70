import { classBytes, sizeClass } from '../rpc/size-classes.ts';

/** Heads below this are many and live long; they get what they need and nothing more. */
const MIN_POOLED_BYTES = 16 * 1024;
/** Larger than any head that is cut in time. */
const MAX_POOLED_BYTES = 8 * 1024 * 1024;

/**
 * Memory that heads hand on to each other. V8 does not count shared memory when it decides to collect garbage: what heads
 * outgrow would pile up by the gigabyte before anything frees it.
 */
export class HeadMemory {
  readonly #idleLimit: number;
  readonly #free: SharedArrayBuffer[][] = [];
  #idle = 0;

  /** `idleBytes`: what may wait for its next use, at most. */
  constructor(idleBytes: number) {
    this.#idleLimit = idleBytes;
  }

  get idleBytes(): number {
    return this.#idle;
  }

  /** At least `bytes`, holding anything. */
  take(bytes: number): SharedArrayBuffer {
    if (bytes < MIN_POOLED_BYTES || bytes > MAX_POOLED_BYTES) return new SharedArrayBuffer(bytes);
    const place = sizeClass(bytes);
    const memory = this.#free[place]?.pop();
    if (memory === undefined) return new SharedArrayBuffer(classBytes(place));
    this.#idle -= memory.byteLength;
    return memory;
  }

  /** Nobody may read it any more, in no thread. */
  give(memory: SharedArrayBuffer): void {
    const bytes = memory.byteLength;
    if (bytes < MIN_POOLED_BYTES || bytes > MAX_POOLED_BYTES || this.#idle + bytes > this.#idleLimit) return;
    const place = sizeClass(bytes);
    if (classBytes(place) !== bytes) return; // not one of ours
    this.#idle += bytes;
    (this.#free[place] ??= []).push(memory);
  }
}

/** For heads that are few. */
export const noHeadMemory = new HeadMemory(0);
