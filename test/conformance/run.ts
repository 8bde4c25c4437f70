/**
 * Runs the recorded requests of a corpus against a fresh server: once with everything in memory, and again after a
 * flush and a restart. The ledger beside this file names every case that may fail; any other failure, and a count below
 * its floors, is an error. A case that passes now but still stands in the ledger is named (`--record` rewrites it).
 *
 *     npm run conformance -- [--corpus DIR] [--only TEXT] [--verbose] [--record]
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { TestServer } from '../harness/server.ts';

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
type Round = 'memory' | 'flushed';
interface Ledger {
  /** How many cases must pass at least. */
  readonly floors: Record<Round, number>;
  /** Cases that are known to differ. */
  readonly failing: Record<Round, readonly string[]>;
}

const LEDGER = join(import.meta.dirname, 'ledger.json');
const { values: options } = parseArgs({
  options: {
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

async function runRound(url: string, round: Round): Promise<string[]> {
  const selected = cases.filter((c) => round === 'memory' || !c.fromMemory);
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

const directory = mkdtempSync(join(tmpdir(), 'loptr-conformance-'));
const args = [`-config.file=${join(corpus, 'loki.yaml')}`];
const failing: Record<Round, readonly string[]> = { memory: [], flushed: [] };
try {
  {
    await using server = await TestServer.start({ cwd: directory, args });
    for (const problem of await runner.pushAll(server.url, corpus)) throw new Error(problem);
    for (const problem of await runner.waitVisible(server.url, ready)) throw new Error(problem);
    failing.memory = await runRound(server.url, 'memory');
    const flushed = await fetch(`${server.url}/flush`, { method: 'POST' });
    if (flushed.status !== 204) throw new Error(`POST /flush answered ${flushed.status}`);
    const end = await server.stop();
    if (end.code !== 0) throw new Error(`the server ended with ${JSON.stringify(end)}\n${server.log}`);
  }
  await using server = await TestServer.start({ cwd: directory, args });
  for (const problem of await runner.waitVisible(server.url, ready)) throw new Error(problem);
  failing.flushed = await runRound(server.url, 'flushed');
  await server.stop();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

const passed = {
  memory: cases.length - failing.memory.length,
  flushed: cases.filter((c) => !c.fromMemory).length - failing.flushed.length,
};
if (only === undefined) {
  const ledger: Ledger = existsSync(LEDGER)
    ? (JSON.parse(readFileSync(LEDGER, 'utf8')) as Ledger)
    : { floors: { memory: 0, flushed: 0 }, failing: { memory: [], flushed: [] } };
  const problems: string[] = [];
  for (const round of ['memory', 'flushed'] as const) {
    if (passed[round] < ledger.floors[round]) {
      problems.push(`${round}: ${passed[round]} cases pass, the floor is ${ledger.floors[round]}`);
    }
    const known = new Set(ledger.failing[round]);
    for (const id of failing[round])
      if (!known.has(id)) problems.push(`${round}: ${id} failed and is not in the ledger`);
    const now = new Set(failing[round]);
    for (const id of known) if (!now.has(id)) console.log(`${round}: ${id} passes now: take it out of the ledger`);
  }
  if (options.record) {
    if (problems.some((p) => p.includes('the floor is'))) {
      for (const problem of problems) console.error(problem);
      console.error('a floor may only rise');
      process.exit(1);
    }
    writeFileSync(LEDGER, `${JSON.stringify({ floors: passed, failing }, null, 2)}\n`);
    console.log('ledger written');
  } else if (problems.length > 0) {
    for (const problem of problems) console.error(problem);
    process.exitCode = 1;
  }
}
