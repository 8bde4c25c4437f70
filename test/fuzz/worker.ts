import { parentPort, workerData } from 'node:worker_threads';
import { allTargets, fuzz } from './inputs.ts';

/** What `run.ts` asks of a thread: one target's inputs. */
export interface FuzzJob {
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly count: number;
  /** The number of the input at hand, for the watchdog. */
  readonly progress: Int32Array;
}

const { target, seed, from, count, progress } = workerData as FuzzJob;
const chosen = allTargets().find(({ name }) => name === target)!;
const figures = await fuzz(chosen, seed, from, count, (input) => Atomics.store(progress, 0, input));
parentPort!.postMessage(figures);
