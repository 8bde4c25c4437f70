/**
 * Runs the recorded requests of a corpus against a fresh server, or with `--cluster` against a cluster of separate
 * services: once with everything in memory, and again after a flush and a restart. The ledger beside this file names every case that may fail; any other failure, and a count below
 * its floors, is an error. A case that passes now but still stands in the ledger is named (`--record` rewrites it).
 *
 *     npm run conformance -- [--cluster] [--corpus DIR] [--only TEXT] [--verbose] [--record]
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startCluster, startServer } from './subjects.ts';

interface Case {
  readonly id: string;
  readonly area: string;
  readonly request: { readonly method: string; readonly path: string; readonly query?: Record<string, unknown> };
  readonly fromMemory?: boolean;
}
interface Runner {
  readJson(dir: string): unknown[];
  pushAll(url: string, dir: string): Promise<string[]>;
  waitVisible(url: string, ready: unknown[], ms?: number): Promise<string[]>;
  runCase(url: string, c: Case): Promise<unknown>;
  judge(c: Case, answer: unknown): string | null;
  pool<T>(items: readonly T[], n: number, f: (item: T, index: number) => Promise<void>): Promise<void>;
}
type Round = 'memory' | 'flushed' | 'cluster' | 'cluster-flushed';
interface Ledger {
  /** How many cases must pass at least. */
  readonly floors: Partial<Record<Round, number>>;
  /** Cases that are known to differ. */
  readonly failing: Partial<Record<Round, readonly string[]>>;
}

const LEDGER = join(import.meta.dirname, 'ledger.json');
const { values: options } = parseArgs({
  options: {
    cluster: { type: 'boolean', default: false },
    corpus: { type: 'string', default: join(import.meta.dirname, '..', '..', '..', 'shared', 'conformance') },
    only: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
  },
});

const corpus = resolve(options.corpus);
if (!existsSync(join(corpus, 'run.mjs'))) {
  console.error(`no corpus in ${options.corpus}: name its folder with --corpus DIR`);
  process.exit(2);
}
const runner = (await import(pathToFileURL(join(corpus, 'run.mjs')).href)) as Runner;
let cases = runner.readJson(join(corpus, 'expected')).flat() as Case[];
const { only } = options;
if (only !== undefined) cases = cases.filter((c) => c.area === only || c.id.includes(only));
const ready = JSON.parse(readFileSync(join(corpus, 'ready.json'), 'utf8')) as unknown[];

const [IN_MEMORY, STORED]: readonly [Round, Round] = options.cluster
  ? ['cluster', 'cluster-flushed']
  : ['memory', 'flushed'];

async function runRound(url: string, round: Round): Promise<string[]> {
  const selected = cases.filter((c) => round === IN_MEMORY || !c.fromMemory);
  const failures = new Map<string, string>();
  await runner.pool(selected, 4, async (c) => {
    const verdict = runner.judge(c, await runner.runCase(url, c));
    if (verdict !== null) failures.set(c.id, verdict);
  });
  const areas = new Map<string, [passed: number, failed: number]>();
  let shown = 0;
  for (const c of selected) {
    const counts = areas.get(c.area) ?? [0, 0];
    const failure = failures.get(c.id);
    counts[failure === undefined ? 0 : 1]++;
    areas.set(c.area, counts);
    if (failure !== undefined && (options.verbose || shown < 20)) {
      shown++;
      console.log(`FAIL ${c.id}\n  ${c.request.method} ${c.request.path} ${String(c.request.query?.['query'] ?? '')}`);
      console.log(`  ${failure.slice(0, 1200)}`);
    }
  }
  for (const [area, [passed, failed]] of [...areas].sort()) {
    if (failed) console.log(`${round} ${area}: ${passed} passed, ${failed} failed`);
  }
  console.log(`${round}: ${selected.length - failures.size} of ${selected.length} cases pass`);
  return [...failures.keys()].sort();
}

const configFile = join(corpus, 'loki.yaml');
const failing = new Map<Round, readonly string[]>();
const subject = await (options.cluster ? startCluster(configFile) : startServer(configFile));
try {
  for (const problem of await runner.pushAll(subject.url, corpus)) throw new Error(problem);
  for (const problem of await runner.waitVisible(subject.url, ready)) throw new Error(problem);
  failing.set(IN_MEMORY, await runRound(subject.url, IN_MEMORY));
  await subject.restartStored();
  for (const problem of await runner.waitVisible(subject.url, ready)) throw new Error(problem);
  failing.set(STORED, await runRound(subject.url, STORED));
} finally {
  await subject.stop();
}

const passed = new Map<Round, number>([
  [IN_MEMORY, cases.length - failing.get(IN_MEMORY)!.length],
  [STORED, cases.filter((c) => !c.fromMemory).length - failing.get(STORED)!.length],
]);
if (only === undefined) {
  const none = { memory: 0, flushed: 0, cluster: 0, 'cluster-flushed': 0 };
  const ledger = (
    existsSync(LEDGER) ? JSON.parse(readFileSync(LEDGER, 'utf8')) : { floors: none, failing: {} }
  ) as Ledger;
  const problems: string[] = [];
  for (const round of [IN_MEMORY, STORED]) {
    const floor = ledger.floors[round] ?? 0;
    if (passed.get(round)! < floor) problems.push(`${round}: ${passed.get(round)} cases pass, the floor is ${floor}`);
    const known = new Set(ledger.failing[round]);
    for (const id of failing.get(round)!) {
      if (!known.has(id)) problems.push(`${round}: ${id} failed and is not in the ledger`);
    }
    const now = new Set(failing.get(round));
    for (const id of known) if (!now.has(id)) console.log(`${round}: ${id} passes now: take it out of the ledger`);
  }
  if (options.record) {
    if (problems.some((p) => p.includes('the floor is'))) {
      for (const problem of problems) console.error(problem);
      console.error('a floor may only rise');
      process.exit(1);
    }
    const floors = { ...ledger.floors, ...Object.fromEntries(passed) };
    const written = { floors, failing: { ...ledger.failing, ...Object.fromEntries(failing) } };
    writeFileSync(LEDGER, `${JSON.stringify(written, null, 2)}\n`);
    console.log('ledger written');
  } else if (problems.length > 0) {
    for (const problem of problems) console.error(problem);
    process.exitCode = 1;
  }
}
