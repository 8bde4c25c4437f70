/**
 * Whether the program stays awake: `/ready` and small pushes while large pushes run at half of what the machine takes and
 * four clients query without a pause.
 *
 *     npm run bench:latency -- [--seconds 20]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { accessLine, Bench, percentile, pushBody, report } from './load.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' } } });
const runMs = 1000 * Number(values.seconds);
const STREAMS = 100;
const QUERIES = [
  'sum by (app) (count_over_time({app=~".+"}[1m]))',
  '{app="app-1"} |= "orders/77"',
  'sum by (status) (rate({app=~"app-.*"} | pattern `<_> "<method> <path> <_>" <status> <_>` [1m]))',
  '{app=~".+"}',
];

await using bench = await Bench.start();
let round = 0;
/** 8 streams of 250 lines, about 280 kB of lines. */
function largeBody(): Buffer {
  const batch = Array.from({ length: 8 }, (_, i) => ({
    labels: `{app="app-${(8 * round + i) % STREAMS}", job="latency"}`,
    lines: Array.from({ length: 250 }, accessLine),
  }));
  return pushBody(batch, Date.now() - 30_000 + round++);
}
const bodies = Array.from({ length: 60 }, largeBody);

/** Pushes one after the other, as fast as they are taken: ms for one. */
async function saturate(ms: number): Promise<number> {
  const end = performance.now() + ms;
  const started = performance.now();
  let count = 0;
  while (performance.now() < end) await bench.push(bodies[count++ % bodies.length]!);
  return (performance.now() - started) / count;
}
await saturate(2000);
const pauseMs = 2 * (await saturate(2000));

const LONGEST_DELAY = 'loptr_eventloop_delay_seconds{since="scrape",share="1"}';
const DELAY_P99 = 'loptr_eventloop_delay_seconds{since="scrape",share="0.99"}';
await bench.metrics(); // what was until now does not count
const end = performance.now() + runMs;
const isRunning = (): boolean => performance.now() < end;
const ready: number[] = [];
const small: number[] = [];
const queries: number[] = [];
async function every(ms: number, work: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; isRunning(); i++) {
    const started = performance.now();
    await work(i);
    await sleep(Math.max(0, ms - (performance.now() - started)));
  }
}
const smallBody = (): Buffer => pushBody([{ labels: '{app="probe"}', lines: [accessLine()] }], Date.now());
let pushes = 0;
await Promise.all([
  every(pauseMs, async () => {
    await bench.push(bodies[pushes++ % bodies.length]!);
  }),
  every(20, async () => ready.push(await bench.call('GET', '/ready'))),
  every(20, async () => small.push(await bench.push(smallBody()))),
  ...QUERIES.map((query) =>
    every(0, async () => {
      const range = `start=${Date.now() - 300_000}000000&end=${Date.now()}000000&step=10&limit=1000`;
      queries.push(await bench.call('GET', `/loki/api/v1/query_range?query=${encodeURIComponent(query)}&${range}`));
    }),
  ),
]);
const metrics = await bench.metrics();
const delayMs = (name: string): string => (1000 * metrics.get(name)!).toFixed(1);
report(`a large push every ${pauseMs.toFixed(1)} ms, four clients that query without a pause`, {
  'large pushes': pushes,
  'queries answered': queries.length,
  'query p50 / p99, ms': `${percentile(queries, 0.5)} / ${percentile(queries, 0.99)}`,
  '/ready p50 / p99 / longest, ms': `${percentile(ready, 0.5)} / ${percentile(ready, 0.99)} / ${percentile(ready, 1)}`,
  'small push p50 / p99 / longest, ms': `${percentile(small, 0.5)} / ${percentile(small, 0.99)} / ${percentile(small, 1)}`,
  'event loop blocked p99 / longest, ms': `${delayMs(DELAY_P99)} / ${delayMs(LONGEST_DELAY)}`,
  'peak memory, MB': bench.peakMB(),
});
