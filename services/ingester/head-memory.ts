/**
 * Memory that heads hand on to each other. V8 does not count shared memory when it decides to collect garbage: what heads
 * outgrow, and what is encoded, would pile up by the gigabyte before anything frees it.
 */

/**
 * Heads below this are many and live long; they get what they need and nothing more. Their memory is not shared, so that
 * V8 counts it: where a hundred thousand heads grow together, nobody needs what they outgrow. Threads get copies.
 */
const MIN_POOLED_BYTES = 16 * 1024;
/** Larger than any head that is cut in time. */
const MAX_POOLED_BYTES = 8 * 1024 * 1024;

/** What idles up to twice as large is rather taken than memory of the right size made, and other memory dropped for it. */
const LARGER_CLASSES = 2;

export type HeadBuffer = ArrayBuffer | SharedArrayBuffer;

export class HeadMemory {
  readonly #limit: number;
  /** May idle whatever is lent: many small heads can take more than the limit, and go on growing. */
  readonly #leastIdle: number;
  /** By `classOf`. */
  readonly #free: SharedArrayBuffer[][] = [];
  /** Of all that is lent or idle. */
  #total = 0;
  #idle = 0;

  /** `limitBytes`: beyond it, what comes back is left to the garbage collector. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
    this.#leastIdle = limitBytes / 4;
  }

  get idleBytes(): number {
    return this.#idle;
  }

  /** At least `bytes`, holding anything. */
  take(bytes: number): HeadBuffer {
    if (bytes < MIN_POOLED_BYTES) return new ArrayBuffer(bytes);
    if (bytes > MAX_POOLED_BYTES) return new SharedArrayBuffer(bytes);
    const place = classOf(bytes);
    for (let larger = place; larger <= place + LARGER_CLASSES; larger++) {
      const idle = this.#free[larger]?.pop();
      if (idle === undefined) continue;
      this.#idle -= idle.byteLength;
      return idle;
    }
    const memory = new SharedArrayBuffer(bytesOf(place));
    this.#total += memory.byteLength;
    this.#shrink();
    return memory;
  }

  /** `isShared`: somebody may still read it, so that it is not lent again. */
  give(memory: HeadBuffer, isShared: boolean): void {
    const bytes = memory.byteLength;
    if (!(memory instanceof SharedArrayBuffer) || bytes > MAX_POOLED_BYTES) return;
    if (isShared || (this.#total > this.#limit && this.#idle > this.#leastIdle)) {
      this.#total -= bytes;
      return;
    }
    this.#idle += bytes;
    (this.#free[classOf(bytes)] ??= []).push(memory);
  }

  /** Lets go of what idles, the class with the most first, until all is within the limit. */
  #shrink(): void {
    while (this.#total > this.#limit && this.#idle > this.#leastIdle) {
      let most: SharedArrayBuffer[] = [];
      let mostBytes = 0;
      this.#free.forEach((list, place) => {
        const bytes = list.length * bytesOf(place);
        if (bytes > mostBytes) [most, mostBytes] = [list, bytes];
      });
      const { byteLength } = most.pop()!;
      this.#total -= byteLength;
      this.#idle -= byteLength;
    }
  }
}

/** For heads that are few. */
export const noHeadMemory = new HeadMemory(0);

/** Classes are 2^n and 1.5 * 2^n: few, so that what one head gives fits the next, and a head lies idle by a sixth. */
function classOf(bytes: number): number {
  const power = 32 - Math.clz32(bytes - 1);
  return 2 * power - (bytes <= 0.75 * 2 ** power ? 1 : 0);
}

function bytesOf(place: number): number {
  return place % 2 === 0 ? 2 ** (place / 2) : 0.75 * 2 ** ((place + 1) / 2);
}
