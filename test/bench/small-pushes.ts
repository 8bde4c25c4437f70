/**
 * Many small pushes: bodies of 1 kB on 64 connections that stay open.
 *
 *     npm run bench:small -- [--seconds 10] [--connections 64]
 */
import { parseArgs } from 'node:util';
import { accessLine, Bench, percentile, pushBody, report } from './load.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '10' }, connections: { type: 'string', default: '64' } },
});
const connections = Number(values.connections);
await using bench = await Bench.start();
const bodyOf = (connection: number): Buffer =>
  pushBody(
    [{ labels: `{app="small", pod="pod-${connection}"}`, lines: Array.from({ length: 18 }, accessLine) }],
    Date.now(),
  );

async function run(seconds: number): Promise<number[]> {
  const end = performance.now() + 1000 * seconds;
  const times: number[] = [];
  await Promise.all(
    Array.from({ length: connections }, async (_, connection) => {
      const bodies = Array.from({ length: 20 }, () => bodyOf(connection));
      for (let i = 0; performance.now() < end; i++) times.push(await bench.push(bodies[i % bodies.length]!));
    }),
  );
  return times;
}

await run(2); // until the compiler has seen it
const cpuBefore = bench.cpuSeconds();
const started = performance.now();
const times = await run(Number(values.seconds));
const seconds = (performance.now() - started) / 1000;
const cpu = bench.cpuSeconds() - cpuBefore;
report(`pushes of ${bodyOf(0).length} bytes on ${connections} connections`, {
  'pushes a second': Math.round(times.length / seconds),
  'CPU of the server a push, ms': ((1000 * cpu) / times.length).toFixed(3),
  'p50, ms': percentile(times, 0.5),
  'p99, ms': percentile(times, 0.99),
  'peak memory, MB': bench.peakMB(),
});
