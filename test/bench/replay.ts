/**
 * How long a start takes after a crash: a log of the given size is read again. One stream that is never stored keeps the
 * log whole, so that it has all kinds of rows: stored, encoded, and open.
 *
 *     npm run bench:replay -- [--mb 512]
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { accessLine, Bench, pushBody, report } from './load.ts';

const { values } = parseArgs({ options: { mb: { type: 'string', default: '512' } } });
const wanted = Number(values.mb) * 1e6;
const STREAMS = 100;
const STREAMS_A_PUSH = 10;
const LINES = 200;
const COUNT = 'sum(count_over_time({job="replay"}[1h]))';

await using bench = await Bench.start();
const log = join(bench.dataDirectory, 'wal');
const logMB = (): number => readdirSync(log).reduce((sum, name) => sum + statSync(join(log, name)).size, 0) / 1e6;

await bench.push(pushBody([{ labels: '{job="replay", app="rare"}', lines: [accessLine()] }], Date.now()));
let rows = 1;
for (let round = 0; logMB() * 1e6 < wanted; round++) {
  const batch = Array.from({ length: STREAMS_A_PUSH }, (_, i) => ({
    labels: `{job="replay", app="app-${(STREAMS_A_PUSH * round + i) % STREAMS}"}`,
    lines: Array.from({ length: LINES }, accessLine),
  }));
  await bench.push(pushBody(batch, Date.now() - 60_000 + Math.floor(round / (STREAMS / STREAMS_A_PUSH)) * LINES));
  rows += STREAMS_A_PUSH * LINES;
}
const size = logMB();
const ready = await bench.crashAndStart();
const cpu = bench.cpuSeconds();
const peak = bench.peakMB();
const found = await bench.value(COUNT);
report(`a log of ${size.toFixed(0)} MB is read again`, {
  'ready after, s': ready.toFixed(2),
  'CPU until then, s': cpu.toFixed(2),
  'peak memory, MB': peak,
  'rows before and after': `${rows} / ${found}`,
});
if (found !== rows) {
  console.error('rows were lost or doubled');
  process.exitCode = 1;
}
