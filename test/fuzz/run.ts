// Feeds generated input to everything that takes input: `npm run fuzz -- --inputs 1000000 --seed 1`.
//   --target "regex"   one target alone (again and again: several)
//   --at 4711          one input of the seed alone, to see it again
// A thread a target; one that stays with an input for longer than HANG_MS is stopped, and the input named.
import { extname } from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { allTargets, type FuzzFigures } from './inputs.ts';
import type { FuzzJob } from './worker.ts';

const HANG_MS = 10_000;
const THREADS = 2;

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    target: { type: 'string', multiple: true },
    at: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const names = values.target ?? allTargets().map(({ name }) => name);
const from = Number(values.at ?? 0);
const count = values.at === undefined ? Number(values.inputs) : 1;

function fuzzInThread(target: string): Promise<FuzzFigures> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  Atomics.store(progress, 0, -1);
  const job: FuzzJob = { target, seed, from, count, progress };
  const worker = new Worker(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    let last = -1;
    const watchdog = setInterval(() => {
      const now = Atomics.load(progress, 0);
      if (now === last && now >= 0) {
        reject(new Error(`${target}: input ${now} of seed ${seed} takes longer than ${HANG_MS} ms`));
        void worker.terminate();
      }
      last = now;
    }, HANG_MS);
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => clearInterval(watchdog));
  });
}

console.log(`seed ${seed}, ${count} inputs for each of ${names.length} targets`);
let failures = 0;
const queue = [...names];
await Promise.all(
  Array.from({ length: THREADS }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const began = performance.now();
      try {
        const { inputs, slowestMs, slowestInput } = await fuzzInThread(name);
        const seconds = (performance.now() - began) / 1000;
        console.log(
          `${name.padEnd(14)} ${inputs} inputs in ${seconds.toFixed(1)} s, slowest ${slowestMs.toFixed(1)} ms (input ${slowestInput})`,
        );
      } catch (error: unknown) {
        failures++;
        console.log(`${name.padEnd(14)} FAILED`, error);
      }
    }
  }),
);
process.exitCode = failures > 0 ? 1 : 0;
