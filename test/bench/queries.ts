/**
 * The queries of the shared workload over data that is stored already: once in a process that has answered none before
 * (it is up, the files are in the page cache, nothing of the query's code is compiled), then again and again.
 *
 *     node test/bench/queries.ts --data FOLDER_WITH_BENCH_DATA --facts WORKLOAD.bin.json [--only NAME,…] [--reps 7] [--no-cold]
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { TestServer } from '../harness/server.ts';

/** What the workload generator says of its lines. */
export interface WorkloadFacts {
  /** Of the first line, ms since 1970. */
  readonly start: number;
  readonly hours: number;
  readonly needles: readonly { readonly n: string }[];
  readonly traceIds: readonly string[];
}

export interface QueryTimes {
  /** The first answer of a process, ms; null when that was not measured. */
  readonly coldMs: number | null;
  /** Medians over the repetitions in one process. */
  readonly warmMs: number;
  readonly warmCpuMs: number;
  readonly minMs: number;
  readonly bytes: number;
}

export interface QueryBenchOptions {
  /** Working directory of the server, with its data in `bench-data`. */
  readonly cwd: string;
  readonly args: readonly string[];
  readonly facts: WorkloadFacts;
  readonly names?: readonly string[];
  readonly reps: number;
  readonly cold: boolean;
}

/** Times each query. Throws when an answer is none. */
export async function benchQueries(options: QueryBenchOptions): Promise<Record<string, QueryTimes>> {
  const all = Object.entries(queryPaths(options.facts));
  const chosen = all.filter(([name]) => options.names?.includes(name) ?? true);
  const cold = new Map<string, number>();
  for (const [name, path] of options.cold ? chosen : []) {
    await using server = await start(options);
    cold.set(name, (await ask(server, path)).ms);
  }
  await using server = await start(options);
  // All once before any is measured: code that queries share is then compiled for each of them alike.
  for (const [, path] of chosen) await ask(server, path);
  const times: Record<string, QueryTimes> = {};
  for (const [name, path] of chosen) {
    const ms: number[] = [];
    let bytes = 0;
    const cpuBefore = cpuMs(server.pid);
    for (let i = 0; i < options.reps; i++) {
      const answer = await ask(server, path);
      ms.push(answer.ms);
      bytes = answer.bytes;
    }
    const warmCpuMs = (cpuMs(server.pid) - cpuBefore) / options.reps;
    ms.sort((a, b) => a - b);
    times[name] = { coldMs: cold.get(name) ?? null, warmMs: ms[ms.length >> 1]!, warmCpuMs, minMs: ms[0]!, bytes };
  }
  return times;
}

export function queryTable(times: Readonly<Record<string, QueryTimes>>): string {
  const number = (value: number | null) => (value === null ? '–' : value.toFixed(1)).padStart(9);
  const lines = Object.entries(times).map(
    ([name, t]) =>
      `${name.padEnd(24)}${[t.coldMs, t.warmMs, t.minMs, t.warmCpuMs].map(number).join('')} ${String(t.bytes).padStart(9)}`,
  );
  return [`${'query'.padEnd(24)}  cold ms  warm ms   min ms   CPU ms     bytes`, ...lines].join('\n');
}

/** A server that has done what it does at its start, also in threads that nobody waits for. */
async function start({ cwd, args }: QueryBenchOptions): Promise<TestServer> {
  const server = await TestServer.start({ cwd, args, output: 'inherit', isTuned: true });
  for (let last = -1, now = cpuMs(server.pid); now > last; ) {
    await setTimeout(SETTLE_MS);
    [last, now] = [now, cpuMs(server.pid)];
  }
  return server;
}

async function ask(server: TestServer, path: string): Promise<{ ms: number; bytes: number }> {
  const began = performance.now();
  const answer = await fetch(server.url + path);
  const body = await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${Buffer.from(body).toString('utf8', 0, 300)}`);
  return { ms: performance.now() - began, bytes: body.byteLength };
}

function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const STEP_S = 60;
/** Without any work in between a start is over. */
const SETTLE_MS = 300;

function queryPaths(facts: WorkloadFacts): Record<string, string> {
  const startMs = facts.start;
  const endMs = startMs + facts.hours * 3_600_000;
  const query = (path: string, params: Record<string, string | number>) =>
    `/loki/api/v1/${path}?${new URLSearchParams(Object.entries(params).map(([k, v]) => [k, String(v)]))}`;
  const log = (text: string, limit = 100, fromMs = startMs) =>
    query('query_range', { query: text, start: `${fromMs}000000`, end: `${endMs}000000`, limit });
  const metric = (text: string) =>
    query('query_range', { query: text, start: `${startMs}000000`, end: `${endMs}000000`, step: STEP_S });
  const nginx = (stages: string) => `{app="nginx"} | ${stages}`;
  return {
    needle_all: log(`{job=~".+"} |= "${facts.needles[3]!.n}"`),
    needle_trace_meta: log(`{app="api"} | trace_id="${facts.traceIds[0]}"`),
    filter_common_limit100: log('{app="nginx"} |= "GET"'),
    filter_chain_rare: log('{namespace="prod"} |= "error" != "timeout" |~ "refused|reset" |= "5432"', 1000),
    regex_all: log('{job=~".+"} |~ "(?i)authentication failure.*rhost=[0-9.]+"', 1000),
    count_by_app: metric('sum by (app) (count_over_time({job=~".+"}[1m]))'),
    bytes_rate: metric('sum by (namespace) (bytes_rate({job=~".+"}[5m]))'),
    filtered_rate: metric('sum by (pod) (rate({app="nginx"} |= " 500 " [5m]))'),
    json_level: metric('sum by (level) (count_over_time({app="api"} | json | level="error" [5m]))'),
    json_quantile: metric('quantile_over_time(0.99, {app="api"} | json | unwrap duration_ms [5m]) by (route)'),
    pattern_status: metric(
      `sum by (status) (rate(${nginx('pattern `<ip> - - [<_>] "<method> <path> <_>" <status> <size> <_>`')} [5m]))`,
    ),
    topk_ip: query('query', {
      query: `topk(10, sum by (ip) (count_over_time(${nginx('pattern `<ip> - - <_>`')} [6h])))`,
      time: `${endMs}000000`,
    }),
    logfmt_filter: log('{app="worker"} | logfmt | level="error" | duration > 2500ms', 1000),
    regexp_extract: metric(`sum by (method) (count_over_time(${nginx('regexp `"(?P<method>[A-Z]+) `')} [5m]))`),
    tail_recent_100: log('{namespace="prod"}', 100, endMs - 3_600_000),
    last_6h_all_1000: log('{cluster="c1"}', 1000),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      facts: { type: 'string' },
      config: { type: 'string', default: join(import.meta.dirname, '..', '..', '..', 'shared', 'bench', 'bench.yaml') },
      only: { type: 'string' },
      reps: { type: 'string', default: '7' },
      cold: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  if (values.data === undefined || values.facts === undefined) throw new Error('name --data and --facts');
  const times = await benchQueries({
    cwd: values.data,
    args: [`-config.file=${resolve(values.config)}`],
    facts: JSON.parse(readFileSync(values.facts, 'utf8')) as WorkloadFacts,
    ...(values.only !== undefined && { names: values.only.split(',') }),
    reps: Number(values.reps),
    cold: values.cold,
  });
  console.log(queryTable(times));
}
