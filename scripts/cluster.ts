/**
 * A whole cluster on this machine: etcd, and every service of Loptr a process of its own, over one data directory.
 *
 *     npm run cluster [-- OPTIONS THAT ALL SERVICES GET]
 *
 * Ends with Ctrl-C. `etcd` must be there; the object store is a directory, since all processes see the same disk.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..');
const DATA = join(process.cwd(), 'data', 'cluster');
const ETCD_PORT = 12379;
const READY_MS = 60_000;
const STOP_MS = 60_000;

/** Name, target, port of HTTP; gRPC listens 6000 above it. Stopped from the last to the first. */
const SERVICES: readonly (readonly [name: string, target: string, port: number])[] = [
  ['compactor', 'compactor,ruler', 3141],
  ['querier-1', 'querier', 3131],
  ['querier-2', 'querier', 3132],
  ['query-frontend', 'query-frontend', 3100],
  ['ingester-1', 'ingester', 3121],
  ['ingester-2', 'ingester', 3122],
  ['ingester-3', 'ingester', 3123],
  ['distributor-1', 'distributor', 3111],
  ['distributor-2', 'distributor', 3112],
];
const GRPC_ABOVE_HTTP = 6000;

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
}

const running: Running[] = [];
let isStopping = false;

if (spawnSync('etcd', ['--version']).error !== undefined) {
  console.error('etcd is not installed. On Debian and Ubuntu: apt-get install etcd-server');
  process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(0));

startEtcd();
for (const [name, target, port] of SERVICES) startService(name, target, port);
try {
  await Promise.all(SERVICES.map(([name, , port]) => ready(name, port)));
} catch (error: unknown) {
  console.error(error instanceof Error ? error.message : error);
  await stop(1);
}
if (!isStopping) printHelp();

function startEtcd(): void {
  const [client, peer] = [ETCD_PORT, ETCD_PORT + 1].map((port) => `http://127.0.0.1:${port}`);
  const directory = join(DATA, 'etcd');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  start('etcd', 'etcd', [
    ...['--data-dir', directory, '--logger', 'zap', '--log-level', 'error'],
    ...['--listen-client-urls', client!, '--advertise-client-urls', client!],
    ...['--listen-peer-urls', peer!, '--initial-advertise-peer-urls', peer!, '--initial-cluster', `default=${peer}`],
  ]);
}

function startService(name: string, target: string, port: number): void {
  const frontend = SERVICES.find(([, other]) => other === 'query-frontend')!;
  start(name, process.execPath, [
    join(ROOT, 'services', 'main.ts'),
    `-target=${target}`,
    '-server.http-listen-address=127.0.0.1',
    `-server.http-listen-port=${port}`,
    '-server.grpc-listen-address=127.0.0.1',
    `-server.grpc-listen-port=${port + GRPC_ABOVE_HTTP}`,
    '-log.level=warn',
    `-common.path-prefix=${join(DATA, name)}`,
    `-common.storage.filesystem.chunk-directory=${join(DATA, 'chunks')}`,
    '-common.storage.ring.store=etcd',
    `-common.storage.ring.etcd.endpoints=http://127.0.0.1:${ETCD_PORT}`,
    `-common.storage.ring.instance-id=${name}`,
    '-common.storage.ring.instance-addr=127.0.0.1',
    `-querier.frontend-address=127.0.0.1:${frontend[2] + GRPC_ABOVE_HTTP}`,
    ...process.argv.slice(2),
  ]);
}

/** In a group of its own, so that Ctrl-C reaches it through this program, in order. */
function start(name: string, program: string, args: readonly string[]): void {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve();
      if (isStopping) return;
      console.error(`${name} ended (${signal ?? code}); the others stop too`);
      void stop(1);
    });
  });
  for (const output of [child.stdout!, child.stderr!]) {
    createInterface({ input: output }).on('line', (line) => console.error(`${name} | ${line}`));
  }
  running.push({ name, child, ended });
}

async function ready(name: string, port: number): Promise<void> {
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined); // not listening yet
    if (answer?.ok || isStopping) return;
    if (Date.now() > deadline) throw new Error(`${name} is not ready: ${await answer?.text()}`);
    await sleep(100);
  }
}

async function stop(status: number): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  console.error('stopping');
  for (const { child, ended } of running.toReversed()) {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await ended;
    clearTimeout(timer);
  }
  process.exit(status);
}

function printHelp(): void {
  console.log(`
The cluster is ready: 2 distributors, 3 ingesters (3 copies of each line), 2 queriers, a query frontend, a compactor.

  push     http://localhost:3111/loki/api/v1/push   (or port 3112)
  query    http://localhost:3100                    (the URL of Grafana's Loki data source)
  ring     http://localhost:3111/ring
  data     ${DATA}

  curl -H 'Content-Type: application/json' http://localhost:3111/loki/api/v1/push \\
    -d '{"streams":[{"stream":{"app":"demo"},"values":[["'$(date +%s%N)'","hello cluster"]]}]}'
  curl -G http://localhost:3100/loki/api/v1/query_range --data-urlencode 'query={app="demo"}'

Ctrl-C ends it.`);
}
