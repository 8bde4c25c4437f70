/**
 * A process that compacts a directory until there is nothing to do, for a test that kills it:
 *
 *     node compactor-process.ts DIRECTORY CLOCK_MS MAX_SEGMENT_BYTES
 *
 * Writes a line to its output once the store is listed and after each run, so that the test can aim at what comes then.
 */
import { startOver, TestClock } from '../../services/compactor/testing/setup.ts';
import { startObjectStore } from '../../storage/objectstore/index.ts';

const THREE_HOURS_MS = 3 * 3_600_000;
const [directory, clockMs, maxSegmentBytes] = process.argv.slice(2) as [string, string, string];
const clock = new TestClock(Number(clockMs));
const store = await startObjectStore({ kind: 'filesystem', directory });
const { compactor } = await startOver(store, clock, { config: { maxSegmentBytes: Number(maxSegmentBytes) } });
process.stdout.write('started\n');
// Once to merge, and beyond the time for which replaced objects are kept.
for (let run = 0; run < 4; run++) {
  await compactor.run();
  clock.ms += THREE_HOURS_MS;
  process.stdout.write('run\n');
}
