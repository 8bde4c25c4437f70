import { test } from 'node:test';
import { allTargets, fuzz } from './inputs.ts';

/** Every run looks at other inputs; a failure names the seed. `npm run fuzz` looks at many more. */
const seed = Number(process.env['LOPTR_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const inputs = Number(process.env['LOPTR_FUZZ_RUNS'] ?? 2000);

for (const target of allTargets()) {
  test(`${target.name}: no input of seed ${seed} ends in anything but an answer or a documented error`, async () => {
    await fuzz(target, seed, 0, inputs);
  });
}
