/**
 * Very many streams of a few lines: what a stream costs.
 *
 *     npm run bench:streams -- [--streams 100000] [--lines 20] [--per-push 5]
 */
import { parseArgs } from 'node:util';
import { accessLine, Bench, pushBody, report } from './load.ts';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '100000' },
    lines: { type: 'string', default: '20' },
    'per-push': { type: 'string', default: '5' },
  },
});
const streams = Number(values.streams);
const lines = Number(values.lines);
const perPush = Number(values['per-push']);
/** As an agent of many containers sends them. */
const STREAMS_A_PUSH = 500;
const CONNECTIONS = 4;

await using bench = await Bench.start();
const startMs = Date.now() - 60_000;
let lineBytes = 0;
const cpuBefore = bench.cpuSeconds();
const started = performance.now();
for (let round = 0; round < lines / perPush; round++) {
  let next = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < streams) {
        const first = next;
        next += STREAMS_A_PUSH;
        const count = Math.min(STREAMS_A_PUSH, streams - first);
        const batch = Array.from({ length: count }, (_, i) => ({
          labels: `{app="app-${(first + i) % 50}", namespace="ns-${(first + i) % 7}", pod="pod-${first + i}"}`,
          lines: Array.from({ length: perPush }, accessLine),
        }));
        for (const stream of batch) for (const line of stream.lines) lineBytes += line.length;
        await bench.push(pushBody(batch, startMs + 1000 * round));
      }
    }),
  );
}
const wall = (performance.now() - started) / 1000;
const cpu = bench.cpuSeconds() - cpuBefore;
const range = `start=${startMs - 60_000}000000&end=${Date.now()}000000`;
const labels = await bench.call('GET', `/loki/api/v1/labels?${range}`);
const podValues = await bench.call('GET', `/loki/api/v1/label/pod/values?${range}`);
const selector = encodeURIComponent('{app="app-1", namespace="ns-1"}');
const series = await bench.call('GET', `/loki/api/v1/series?match[]=${selector}&${range}`);
const peak = bench.peakMB();
const flush = await bench.call('POST', '/flush');
report(`${streams} streams of ${lines} lines, ${(lineBytes / 1e6).toFixed(0)} MB, ${perPush} lines a push`, {
  'CPU s/GB of lines': (cpu / (lineBytes / 1e9)).toFixed(1),
  'lines a second (the client shares the machine)': Math.round((streams * lines) / wall),
  'peak memory before the flush, MB': peak,
  'labels, ms': labels.toFixed(0),
  'values of a label of every stream, ms': podValues.toFixed(0),
  'series of one app and namespace, ms': series.toFixed(0),
  'flush, s': (flush / 1000).toFixed(1),
  'peak memory, MB': bench.peakMB(),
});
