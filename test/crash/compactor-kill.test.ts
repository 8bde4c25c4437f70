/** The compactor as a process of its own over files, killed with SIGKILL at random moments: every row stays, once. */
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
const SEGMENTS_A_ROUND = 6;
const ROWS = 2000;

test('a compactor that is killed at random moments loses no row and doubles none', async (t) => {
  const seed = Number(process.env['LOPTR_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
  t.diagnostic(`seed ${seed}`);
  const random = generator(seed);
  const directory = await mkdtemp(join(tmpdir(), 'loptr-compactor-'));
  const expected: string[] = [];
  let killed = 0;
  /** How long a whole run takes here; kills are aimed at any part of it. */
  let wholeMs = 300;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const clock = new TestClock(NOON_MS + (round + 1) * DAY_MS);
      const store = await startObjectStore({ kind: 'filesystem', directory });
      expected.push(...(await addSegments(store, clock, round)));
      expected.sort();
      clock.ms += 120_000; // old enough to be merged
      const { isKilled, tookMs } = await compact(directory, clock.ms, random() * wholeMs);
      if (isKilled) killed++;
      else wholeMs = tookMs;
      const restarted = await startObjectStore({ kind: 'filesystem', directory });
      const { catalog } = await startOver(restarted, clock);
      assert.deepEqual(await rowsIn(catalog, restarted), expected, `round ${round}`);
    }
    // Left alone, it brings the day into few segments, and still nothing is lost.
    const clockMs = NOON_MS + (ROUNDS + 2) * DAY_MS;
    assert.equal((await compact(directory, clockMs, Number.POSITIVE_INFINITY)).isKilled, false);
    const store = await startObjectStore({ kind: 'filesystem', directory });
    const { catalog } = await startOver(store, new TestClock(clockMs));
    assert.deepEqual(await rowsIn(catalog, store), expected);
    assert.ok(catalog.segments('team-a').length < ROUNDS);
    t.diagnostic(`${ROUNDS} rounds, ${killed} of them killed, ${expected.length} rows, each there once`);
    assert.ok(killed > 0, 'no round was killed before its end');
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** Segments whose rows interleave in time, all different; returns the rows as `rowsIn` prints them. */
async function addSegments(store: ObjectStore, clock: TestClock, round: number): Promise<string[]> {
  const rows: string[] = [];
  for (let segment = 0; segment < SEGMENTS_A_ROUND; segment++) {
    const name = `${round}/${segment}`;
    const lines = Array.from({ length: ROWS }, (_, r) => ({
      ns: BigInt(NOON_MS + r * 1000) * 1_000_000n + BigInt(segment),
      line: `${name} row ${r}`,
    }));
    await flush(store, clock, [[{ app: 'web' }, lines]]);
    rows.push(...lines.map(({ ns, line }) => JSON.stringify([[['app', 'web']], String(ns), line, []])));
    clock.ms += 1000;
  }
  return rows;
}

/** Runs the compactor's process and kills it `afterMs` after its start was seen, unless it has ended by then. */
async function compact(directory: string, clockMs: number, afterMs: number) {
  const file = join(import.meta.dirname, 'compactor-process.ts');
  const child = spawn(process.execPath, [file, directory, String(clockMs)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: NodeJS.Signals | null]>;
  await Promise.race([once(child.stdout, 'data'), ended]);
  const began = performance.now();
  const timer = Number.isFinite(afterMs) ? setTimeout(() => child.kill('SIGKILL'), afterMs) : undefined;
  const [code, signal] = await ended;
  clearTimeout(timer);
  assert.ok(code === 0 || signal === 'SIGKILL', `the compactor ended with ${code ?? signal}`);
  return { isKilled: signal === 'SIGKILL', tookMs: performance.now() - began };
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
