import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longest piece of CPU work before other requests get a turn. */
const SLICE_MS = 2;

/** Work that pauses (`yield`) every 64 kB or so of input; `runSliced` decides whether a pause becomes a turn of the event loop. */
export type Sliced<T> = Generator<undefined, T, undefined>;

/** Bytes of input between two pauses: about 0.1 ms of decoding. */
export const SLICE_BYTES = 64 * 1024;

/** Runs the work to its end. A small push never leaves the current turn. Rejects with the signal's reason between pieces. */
export async function runSliced<T>(work: Sliced<T>, signal?: AbortSignal): Promise<T> {
  // CPU time of this turn, not time of day: it has nothing to do with the program's clock.
  let until = performance.now() + SLICE_MS;
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() < until) continue;
    await nextTurn();
    signal?.throwIfAborted();
    until = performance.now() + SLICE_MS;
  }
}
