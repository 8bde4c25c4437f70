/**
 * Runs the shared workload against a fresh server and prints each figure beside Loki's and VictoriaLogs', scaled to
 * this machine by the yardstick. Appends one line to `results.ndjson`.
 *
 *     npm run bench -- [--mb 64] [--dir FOLDER_OF_THE_WORKLOAD_GENERATOR] [--label TEXT] [--no-record] [--no-cold] [-- NODE_FLAGS]
 *
 * The kit's times of queries are medians of three, the first ones of the process. Behind them come the first answer of a
 * fresh process and the median of later ones (`queries.ts`).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { freePort } from '../harness/server.ts';
import { benchQueries, type QueryTimes, queryTable, type WorkloadFacts } from './queries.ts';

interface QueryFigure {
  readonly ms: number;
  readonly min: number;
  readonly cpuS: number;
  readonly st: number | string;
  readonly result: string | number;
}
interface Figures {
  readonly readyS: number;
  readonly ingest: {
    readonly mbPerS: number;
    readonly cpuSPerGB: number;
    readonly rssMB: number;
    readonly bad: object;
  };
  readonly flush: { readonly diskMB: number; readonly rssMB: number };
  readonly restartS?: number;
  readonly stopS?: number;
  readonly queries: Readonly<Record<string, QueryFigure>>;
}
interface Yardstick {
  readonly ingestCpuSPerGB: number;
  readonly scanCpuSPerGB: number;
}

const ROOT = join(import.meta.dirname, '..', '..');
const { values: options, positionals: nodeFlags } = parseArgs({
  options: {
    mb: { type: 'string', default: '64' },
    dir: { type: 'string', default: join(ROOT, '..', 'shared', 'bench') },
    label: { type: 'string', default: '' },
    record: { type: 'boolean', default: true },
    cold: { type: 'boolean', default: true },
  },
  allowNegative: true,
  allowPositionals: true,
});
const kit = resolve(options.dir);
if (!existsSync(join(kit, 'run.mjs'))) {
  console.error(`no workload generator in ${options.dir}: name its folder with --dir`);
  process.exit(2);
}
const node = process.execPath;
const workload = join(tmpdir(), `loptr-bench-${options.mb}.bin`);
if (!existsSync(`${workload}.json`)) {
  execFileSync(node, [join(kit, 'gen.mjs'), workload, '--mb', options.mb], { cwd: ROOT, stdio: 'inherit' });
}
const yardstick = JSON.parse(
  execFileSync(node, [join(kit, 'yardstick.mjs'), workload], { cwd: ROOT, encoding: 'utf8' }),
) as Yardstick;

const directory = mkdtempSync(join(tmpdir(), 'loptr-bench-'));
const port = await freePort();
const command = [
  node,
  ...nodeFlags,
  join(ROOT, 'scripts', 'run.mjs'),
  `-config.file=${join(kit, 'bench.yaml')}`,
  `-server.http-listen-port=${port}`,
  `-server.grpc-listen-port=${await freePort()}`,
].join(' ');
let figures: Figures;
let times: Record<string, QueryTimes>;
try {
  const run = spawnSync(
    node,
    [
      join(kit, 'run.mjs'),
      'loptr',
      '--cmd',
      command,
      '--dir',
      join(directory, 'bench-data'),
      '--workload',
      workload,
      '--base',
      `http://127.0.0.1:${port}`,
      '--restart',
    ],
    { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 },
  );
  if (run.status !== 0) throw new Error(`the driver ended with ${run.status ?? run.signal}`);
  figures = JSON.parse(run.stdout) as Figures;
  times = await benchQueries({
    cwd: directory,
    args: [`-config.file=${join(kit, 'bench.yaml')}`],
    facts: JSON.parse(readFileSync(`${workload}.json`, 'utf8')) as WorkloadFacts,
    reps: 7,
    cold: options.cold,
  });
} finally {
  rmSync(directory, { recursive: true, force: true });
}

const reference = JSON.parse(readFileSync(join(kit, 'reference.json'), 'utf8')) as Record<string, unknown>;
const theirs = (start: string) =>
  Object.entries(reference).find(([name]) => name.startsWith(start))?.[1] as Figures | undefined;
const loki = theirs('loki 3.7.6 (pattern ingester off)');
const victoria = theirs('victorialogs');
const there = reference['yardstick'] as Yardstick;
const share = Number(options.mb) / 512;
/** How much slower this machine is; only a hint for wall times. */
const scale = yardstick.scanCpuSPerGB / there.scanCpuSPerGB;

const rows: string[][] = [['figure', 'loptr', 'loki', 'victorialogs']];
const number = (value: number | undefined, digits = 1) => (value === undefined ? '–' : value.toFixed(digits));
rows.push([
  'ingest CPU, multiples of the yardstick',
  number(figures.ingest.cpuSPerGB / yardstick.ingestCpuSPerGB, 2),
  number(loki && loki.ingest.cpuSPerGB / there.ingestCpuSPerGB, 2),
  number(victoria && victoria.ingest.cpuSPerGB / there.ingestCpuSPerGB, 2),
]);
rows.push([
  'ingest, MB/s',
  number(figures.ingest.mbPerS),
  number(loki?.ingest.mbPerS),
  number(victoria?.ingest.mbPerS),
]);
rows.push(['peak memory in ingest, MB', String(figures.ingest.rssMB), '769 (512 MB)', '290 (512 MB)']);
rows.push([
  'stored, MB',
  number(figures.flush.diskMB),
  number(loki && loki.flush.diskMB * share),
  number(victoria && victoria.flush.diskMB * share),
]);
rows.push(['stop, s', number(figures.stopS, 2), '26.89 (512 MB)', '–']);
rows.push(['start with the data stored, s', number(figures.restartS, 2), '15', '< 1']);
for (const [name, figure] of Object.entries(figures.queries)) {
  const of = (f: Figures | undefined) => {
    const ms = f?.queries[name]?.ms;
    return ms === undefined ? '–' : number(ms * share * scale);
  };
  rows.push([`${name}, ms`, `${number(figure.ms)}  (${figure.st} ${figure.result})`, of(loki), of(victoria)]);
}
const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
console.log(
  `workload ${options.mb} MB; yardstick ${JSON.stringify(yardstick)}; others' times scaled to size and machine`,
);
for (const row of rows) console.log(row.map((cell, i) => cell.padEnd(widths[i]!)).join('  '));
console.log(`\n${queryTable(times)}`);
if (Object.keys(figures.ingest.bad).length > 0) {
  console.error('refused pushes:', figures.ingest.bad);
  process.exitCode = 1;
}
if (options.record) {
  const commit = spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).stdout.trim();
  const line = {
    commit,
    label: options.label,
    mb: Number(options.mb),
    cpus: cpus().length,
    yardstick,
    ...figures,
    times,
  };
  appendFileSync(join(import.meta.dirname, 'results.ndjson'), `${JSON.stringify(line)}\n`);
}
