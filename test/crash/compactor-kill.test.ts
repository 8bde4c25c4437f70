/**
 * The compactor as a process of its own over files, killed with SIGKILL at random moments: every row stays, and
 * what several writers stored ends as one copy.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { flush, NOON_MS, rowsIn, startOver, TestClock } from '../../services/compactor/testing/setup.ts';
import { type ObjectStore, startObjectStore } from '../../storage/objectstore/index.ts';

const ROUNDS = Number(process.env['LOPTR_COMPACTOR_ROUNDS'] ?? 12);
const DAY_MS = 86_400_000;
/** Each day is merged by itself, so that a run has many moments that matter. */
const DAYS = 8;
/** As many writers store the same rows. */
const SEGMENTS_A_DAY = 3;
const ROWS = 50;
const STREAMS = 5;
/** A day of a few rounds is more than one segment. */
const MAX_SEGMENT_BYTES = 1500;
/** Lines that the process writes, and how long after one of them it is killed at most. */
const LINES = 4;
const MAX_DELAY_MS = 25;

test('a compactor that is killed at random moments loses no row and doubles none', async (t) => {
  const seed = Number(process.env['LOPTR_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = generator(seed);
  const directory = await mkdtemp(join(tmpdir(), 'loptr-compactor-'));
  const expected: string[] = [];
  let killed = 0;
  /** Rounds that were killed while notes told which segments count. */
  const withNotes = new Set<number>();
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const clock = new TestClock(NOON_MS + (DAYS + round) * DAY_MS);
      const store = await startObjectStore({ kind: 'filesystem', directory });
      expected.push(...(await addSegments(store, clock, round)));
      expected.sort();
      clock.ms += 120_000; // old enough to be merged
      // Every other time at once after the first run, which has merged and deleted nothing yet.
      const afterMerge = { line: 1, afterMs: 0 };
      const anywhere = { line: Math.floor(random() * LINES), afterMs: random() * MAX_DELAY_MS };
      const isKilled = await compact(directory, clock.ms, round % 2 === 1 ? afterMerge : anywhere);
      if (isKilled) killed++;
      const restarted = await startObjectStore({ kind: 'filesystem', directory });
      const { catalog } = await startOver(restarted, clock);
      assert.deepEqual([...new Set(await rowsIn(catalog, restarted))], expected, `round ${round}`);
      for await (const { key } of restarted.list('compactions/')) {
        if (isKilled && key.includes('/')) withNotes.add(round);
      }
    }
    // Left alone, it brings the days into few segments, and every row is there once.
    const clockMs = NOON_MS + (DAYS + ROUNDS + 1) * DAY_MS;
    assert.equal(await compact(directory, clockMs, null), false);
    const store = await startObjectStore({ kind: 'filesystem', directory });
    const { catalog } = await startOver(store, new TestClock(clockMs));
    assert.deepEqual(await rowsIn(catalog, store), expected);
    const segments = catalog.segments('team-a').length;
    assert.ok(segments > DAYS, 'days have several segments');
    assert.ok(segments < (ROUNDS * DAYS * SEGMENTS_A_DAY) / 2, `${segments} segments`);
    t.diagnostic(
      `${ROUNDS} rounds, ${killed} killed, ${withNotes.size} with notes left, ${expected.length} rows, each there once`,
    );
    assert.ok(killed > 0, 'no round was killed before its end');
    assert.ok(withNotes.size > 0, 'no round was killed between a merge and the end of what it replaced');
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** Segments of several days, each day's of several writers with the same rows; returns the rows as `rowsIn` prints them. */
async function addSegments(store: ObjectStore, clock: TestClock, round: number): Promise<string[]> {
  const rows: string[] = [];
  for (let day = 0; day < DAYS; day++) {
    const startMs = NOON_MS + day * DAY_MS;
    const streams = Array.from({ length: STREAMS }, (_, s) => {
      const lines = Array.from({ length: ROWS / STREAMS }, (_, r) => ({
        ns: BigInt(startMs + r * 1000) * 1_000_000n + BigInt(s),
        line: `${round}/${day} row ${r} of ${s}`,
      }));
      return [{ app: `web-${s}` }, lines] as const;
    });
    for (let writer = 0; writer < SEGMENTS_A_DAY; writer++) {
      // One push did not reach every writer.
      const own = streams.map(([labels, lines], s) => [labels, lines.filter((_, r) => r !== writer + s)] as const);
      await flush(store, clock, own);
      clock.ms += 1000;
    }
    for (const [{ app }, lines] of streams) {
      rows.push(...lines.map(({ ns, line }) => JSON.stringify([[['app', app]], String(ns), line, []])));
    }
  }
  return rows;
}

/** Runs the compactor's process; kills it after one of its lines, unless it has ended by then. True: it was killed. */
async function compact(directory: string, clockMs: number, kill: { line: number; afterMs: number } | null) {
  const file = join(import.meta.dirname, 'compactor-process.ts');
  const args = [file, directory, String(clockMs), String(MAX_SEGMENT_BYTES)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let lines = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const before = lines;
    lines += text.split('\n').length - 1;
    if (kill === null || before > kill.line || lines <= kill.line) return;
    setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
  });
  const [code, signal] = (await once(child, 'exit')) as [code: number | null, signal: NodeJS.Signals | null];
  assert.ok(code === 0 || signal === 'SIGKILL', `the compactor ended with ${code ?? signal}`);
  return signal === 'SIGKILL';
}

/** Mulberry32: numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
