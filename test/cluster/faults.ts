/**
 * Breaks a cluster under load, one fault or two at once, and counts what its users see: every acknowledged line must be
 * there exactly once afterwards, and while a fault lasts queries are right or fail clearly. In the end the cluster stops,
 * and the bucket itself is looked at.
 *
 *     npm run cluster:faults -- [--seconds 30] [--clients 6] [--only TEXT] [--verbose]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { verifyRound, WrongLinesError } from '../crash/verify.ts';
import type { Batch } from '../crash/writer.ts';
import { Backends, Cluster } from './cluster.ts';
import { type ClientErrors, pushUntil, queryUntil, type Settled } from './load.ts';
import { checkStored } from './stored-lines.ts';

/** Rows go to the store all the time, so that every fault meets some on their way. */
const CONFIG = {
  auth_enabled: false,
  ingester: { chunk_idle_period: '2s', flush_check_period: '500ms', flush_op_backoff: { min_period: '200ms' } },
  compactor: { compaction_interval: '5s' },
  limits_config: {
    max_entries_limit_per_query: 5000,
    ingestion_rate_mb: 1000,
    ingestion_burst_size_mb: 1000,
    per_stream_rate_limit: '1GB',
    per_stream_rate_limit_burst: '1GB',
    shard_streams: { enabled: false },
    creation_grace_period: '3h',
  },
};
const BEFORE_MS = 1500;
const AFTER_MS = 3000;
const DOWN_MS = 3000;

interface Fault {
  readonly name: string;
  /** Breaks something and mends it. */
  readonly run: (cluster: Cluster, backends: Backends, lengthMs: number) => Promise<void>;
}

const killed = (member: string): Fault => ({
  name: `SIGKILL ${member}`,
  run: async (cluster) => {
    await cluster.end(member, 'SIGKILL');
    await sleep(DOWN_MS);
    await cluster.restart(member);
  },
});

/** Each is down until it has ended, and the next one's turn comes when it is ready again. */
const inTurn = (signal: 'SIGTERM' | 'SIGKILL'): Fault => ({
  name: `${signal} all ingesters in turn`,
  run: async (cluster) => {
    for (const ingester of cluster.names('ingester')) {
      await cluster.end(ingester, signal);
      await cluster.restart(ingester);
    }
  },
});

const FAULTS: readonly Fault[] = [
  { name: 'none', run: async () => {} },
  ...['distributor-1', 'distributor-2', 'ingester-1', 'ingester-2', 'ingester-3'].map(killed),
  ...['querier-1', 'querier-2', 'frontend-1', 'compactor-1'].map(killed),
  {
    name: 'SIGTERM ingester-1',
    run: async (cluster) => {
      await cluster.end('ingester-1', 'SIGTERM');
      await cluster.restart('ingester-1');
    },
  },
  {
    name: 'SIGSTOP ingester-2',
    run: async (cluster, _, lengthMs) => {
      cluster.signal('ingester-2', 'SIGSTOP');
      await sleep(lengthMs);
      cluster.signal('ingester-2', 'SIGCONT');
    },
  },
  {
    name: 'network of ingester-3 cut',
    run: async (cluster, _, lengthMs) => {
      cluster.cut('ingester-3');
      await sleep(lengthMs);
      cluster.mend('ingester-3');
    },
  },
  {
    name: 'etcd down',
    run: async (_, backends, lengthMs) => {
      await backends.stopEtcd();
      await sleep(lengthMs);
      await backends.startEtcd();
    },
  },
  {
    name: 'etcd without its data',
    run: async (_, backends, lengthMs) => {
      await backends.stopEtcd();
      await backends.loseEtcdData();
      await backends.startEtcd();
      await sleep(lengthMs / 2); // everybody registers again
    },
  },
  ...(['error', 'slow', 'cut'] as const).map((fault) => ({
    name: `S3 ${fault}`,
    run: async (_: Cluster, backends: Backends, lengthMs: number) => {
      backends.s3.fault = fault;
      await sleep(lengthMs / 3);
      backends.s3.fault = 'none';
    },
  })),
  inTurn('SIGTERM'),
  inTurn('SIGKILL'),
  {
    name: 'etcd down and SIGKILL ingester-1',
    run: async (cluster, backends, lengthMs) => {
      await backends.stopEtcd();
      await cluster.end('ingester-1', 'SIGKILL');
      await sleep(lengthMs / 2);
      await backends.startEtcd(); // without it no process starts
      await cluster.restart('ingester-1');
    },
  },
  {
    name: 'etcd down and SIGSTOP ingester-2',
    run: async (cluster, backends, lengthMs) => {
      await backends.stopEtcd();
      cluster.signal('ingester-2', 'SIGSTOP');
      await sleep(lengthMs / 2);
      await backends.startEtcd();
      await sleep(lengthMs / 2); // the ring learns that one of them is away
      cluster.signal('ingester-2', 'SIGCONT');
    },
  },
  {
    name: 'S3 slow and SIGKILL querier-1',
    run: async (cluster, backends, lengthMs) => {
      backends.s3.fault = 'slow';
      await cluster.end('querier-1', 'SIGKILL');
      await sleep(lengthMs / 3);
      backends.s3.fault = 'none';
      await cluster.restart('querier-1');
    },
  },
  {
    name: 'S3 error and SIGKILL ingester-3',
    run: async (cluster, backends, lengthMs) => {
      backends.s3.fault = 'error';
      await sleep(lengthMs / 6); // until there are flushes that wait
      await cluster.end('ingester-3', 'SIGKILL');
      await sleep(lengthMs / 6);
      backends.s3.fault = 'none';
      await cluster.restart('ingester-3');
    },
  },
  {
    name: 'network of ingester-1 cut and SIGKILL distributor-1, compactor-1',
    run: async (cluster, _, lengthMs) => {
      cluster.cut('ingester-1');
      await Promise.all(['distributor-1', 'compactor-1'].map((member) => cluster.end(member, 'SIGKILL')));
      await sleep(lengthMs / 2);
      cluster.mend('ingester-1');
      await Promise.all(['distributor-1', 'compactor-1'].map((member) => cluster.restart(member)));
    },
  },
];

interface Row {
  readonly fault: string;
  readonly acknowledged: number;
  /** Right after the fault, or at the end. */
  lost: number;
  doubled: number;
  readonly pushErrors: ClientErrors;
  readonly queryErrors: ClientErrors;
  readonly answers: number;
  /** From the beginning of the fault to the last error that a client saw, ms; 0 without errors. */
  readonly pushesBackMs: number;
  readonly queriesBackMs: number;
}

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    clients: { type: 'string', default: '6' },
    only: { type: 'string', default: '' },
    verbose: { type: 'boolean', default: false },
  },
});

const faults = FAULTS.filter(({ name }) => name === 'none' || name.includes(options.only));
const baseNs = BigInt(Date.now()) * 1_000_000n;
const backends = await Backends.start();
let cluster: Cluster | undefined;
const problems: string[] = [];
const rows: Row[] = [];
const rounds: Settled[] = [];
const written = new Map<number, readonly Batch[]>();
try {
  cluster = await Cluster.start(backends, { config: CONFIG, verbose: options.verbose });
  const url = cluster.url('frontend-1');
  for (const [round, fault] of faults.entries()) {
    rows.push(await underLoad(cluster, fault, round));
    rounds.push({ round, lines: (await lookAtRound(url, round)) ?? 0 });
  }
  for (const { round } of rounds) await lookAtRound(url, round);
  print();
  // What writes first, so that nothing is on its way any more.
  for (const target of ['distributor', 'ingester', 'query-frontend', 'querier', 'compactor,ruler']) {
    await Promise.all(cluster.names(target).map((name) => cluster!.end(name, 'SIGTERM')));
  }
  await lookAt(() => lookAtStore(cluster!));
} catch (error: unknown) {
  problems.push(String(error instanceof Error ? (error.stack ?? error.message) : error));
  for (const name of cluster?.names() ?? []) {
    console.error(`--- ${name}\n${cluster!.log(name).split('\n').slice(-15).join('\n')}`);
  }
} finally {
  await cluster?.kill();
  await backends.stop();
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;

async function underLoad(running: Cluster, fault: Fault, round: number): Promise<Row> {
  const ending = new AbortController();
  const pushes = pushUntil(ending.signal, {
    distributors: running.names('distributor').map((name) => running.url(name)),
    clients: Number(options.clients),
    round,
    baseNs,
  });
  const settled = rounds.at(-1);
  const queries = settled && queryUntil(ending.signal, running.url('frontend-1'), baseNs, settled);
  await sleep(BEFORE_MS);
  const beganMs = Date.now();
  await fault.run(running, backends, Number(options.seconds) * 1000);
  await sleep(AFTER_MS);
  ending.abort();
  const { acknowledged, errors } = await pushes;
  const asked = await queries;
  written.set(round, acknowledged);
  for (const wrong of new Set(asked?.wrong)) problems.push(`${fault.name}: ${wrong}`);
  const backMs = (errors: ClientErrors | undefined) => Math.max(0, (errors?.lastMs ?? 0) - beganMs);
  const lines = acknowledged.reduce((sum, { from, to }) => sum + to - from, 0);
  console.log(`${fault.name}: ${lines} lines acknowledged, ${asked?.answers ?? 0} queries answered`);
  return {
    fault: fault.name,
    acknowledged: lines,
    lost: 0,
    doubled: 0,
    pushErrors: errors,
    queryErrors: asked?.errors ?? { counts: new Map(), lastMs: 0 },
    answers: asked?.answers ?? 0,
    pushesBackMs: backMs(errors),
    queriesBackMs: backMs(asked?.errors),
  };
}

/** Throws when the store has lost or doubled lines. */
async function lookAtStore(stopped: Cluster): Promise<number> {
  const store = await backends.openStore(stopped.bucket);
  try {
    const found = await checkStored(store, { baseNs, batches: [...written.values()].flat() });
    const { lines, copiesBefore, segmentsBefore, segmentsAfter } = found;
    console.log(
      `${lines} lines stored once each, in ${segmentsAfter} segments; before the last compaction ` +
        `${copiesBefore.toFixed(2)} times, in ${segmentsBefore}`,
    );
    return lines;
  } finally {
    store.close();
  }
}

function lookAtRound(url: string, round: number): Promise<number | undefined> {
  const expected = { acknowledged: written.get(round)!, open: [] };
  return lookAt(async () => {
    try {
      return await verifyRound(url, baseNs, round, expected);
    } catch (error: unknown) {
      if (error instanceof WrongLinesError) {
        const row = rows[round]!;
        row.lost = Math.max(row.lost, error.lost);
        row.doubled = Math.max(row.doubled, error.doubled);
      }
      throw error;
    }
  });
}

/** Undefined, with the problem noted, when lines are missing or doubled. */
async function lookAt(look: () => Promise<number>): Promise<number | undefined> {
  try {
    return await look();
  } catch (error: unknown) {
    problems.push(String(error instanceof Error ? error.message : error));
    return undefined;
  }
}

function print(): void {
  const sum = (errors: ClientErrors) => [...errors.counts.values()].reduce((a, b) => a + b, 0);
  const seconds = (ms: number) => (ms === 0 ? '-' : `${(ms / 1000).toFixed(1)} s`);
  console.log(
    '\nfault | lines acknowledged | lost | doubled | push errors, last after | answers | query errors, last after',
  );
  for (const row of rows) {
    const pushes = `${sum(row.pushErrors)}, ${seconds(row.pushesBackMs)}`;
    const queries = `${sum(row.queryErrors)}, ${seconds(row.queriesBackMs)}`;
    console.log(
      `${row.fault} | ${row.acknowledged} | ${row.lost} | ${row.doubled} | ${pushes} | ${row.answers} | ${queries}`,
    );
    for (const [what, count] of [...row.pushErrors.counts, ...row.queryErrors.counts])
      console.log(`    ${count} × ${what}`);
  }
  const total = (figure: (row: Row) => number) => rows.reduce((all, row) => all + figure(row), 0);
  const [lines, lost, doubled] = [total((r) => r.acknowledged), total((r) => r.lost), total((r) => r.doubled)];
  console.log(`\n${lines} lines acknowledged, ${lost} lost, ${doubled} doubled`);
}
