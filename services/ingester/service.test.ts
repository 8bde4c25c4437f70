import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import fc from 'fast-check';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { nodeFiles, type WalFiles } from '../../storage/wal/index.ts';
import { PushRejectedError } from '../rpc/ingester.ts';
import { Ingester } from './index.ts';
import {
  ALL_TIME,
  batchOf,
  encoderOf,
  FakeClock,
  ingesterOptions,
  jsonEncoder,
  MemorySink,
  rowsOfRecent,
  type TestRow,
  until,
} from './testdata/fixture.ts';

const A = '{app="a"}';
const T0 = 1_795_000_000_000_000_000n;
const matcher = (name: string, op: Matcher['op'], value: string): Matcher => ({ kind: 'matcher', name, op, value });
const ANY = [matcher('app', '=~', '.+')];

let directory: string;
let sink: MemorySink;
let clock: FakeClock;
let running: Ingester[] = [];
let copies: string[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ingester-'));
  sink = new MemorySink();
  clock = new FakeClock();
});
afterEach(async () => {
  sink.before = sink.after = () => {};
  for (const ingester of running) await ingester.stop(0);
  running = [];
  for (const path of [directory, ...copies]) await rm(path, { recursive: true, force: true });
  copies = [];
});

async function started(overrides: Parameters<typeof ingesterOptions>[3] = {}, dir = directory): Promise<Ingester> {
  const ingester = new Ingester(ingesterOptions(dir, sink, clock, overrides));
  await ingester.start();
  running.push(ingester);
  return ingester;
}

/** What a process finds that is started on the files as they are now: as after SIGKILL. */
async function crashed(overrides: Parameters<typeof ingesterOptions>[3] = {}): Promise<Ingester> {
  const copy = await mkdtemp(join(tmpdir(), 'ingester-crash-'));
  copies.push(copy);
  for (const name of await readdir(directory)) if (name !== 'lock') await cp(join(directory, name), join(copy, name));
  sink.restart();
  return started(overrides, copy);
}

const push = (ingester: Ingester, rows: readonly TestRow[], labels = A, tenant = 't') =>
  ingester.push(batchOf(tenant, { labels, rows }));
const recentOf = async (ingester: Ingester, matchers: readonly Matcher[] = ANY, tenant = 't') =>
  rowsOfRecent(await ingester.recent({ tenant, matchers, ...ALL_TIME }));
const row = (i: number, labels = A) => `${labels} ${T0 + BigInt(i)} line ${i}`;
const numbered = (from: number, to: number): TestRow[] =>
  Array.from({ length: to - from }, (_, i) => [T0 + BigInt(from + i), `line ${from + i}`]);
const rejectsWith = (promise: Promise<void>, status: number, message: string) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof PushRejectedError);
    assert.deepEqual([error.status, error.message], [status, message]);
    return true;
  });

describe('pushing to an ingester', () => {
  it('shows rows once the push is acknowledged, metadata included', async () => {
    const ingester = await started();
    await push(ingester, [
      [T0, 'one', { trace: 'x', detected_level: 'info' }],
      [T0 + 1n, 'two'],
      [T0 + 2n, 'drei ü', { trace: 'x', detected_level: 'info' }],
    ]);
    const set = JSON.stringify('\x0edetected_level\x04info\x05trace\x01x');
    assert.deepEqual(await recentOf(ingester), [
      `${A} ${T0} one ${set}`,
      `${A} ${T0 + 1n} two`,
      `${A} ${T0 + 2n} drei ü ${set}`,
    ]);
    assert.deepEqual(await recentOf(ingester, ANY, 'other'), []);
  });

  it('finds streams by any matcher', async () => {
    const ingester = await started();
    const streams = ['{app="a", env="dev"}', '{app="a", env="prod"}', '{app="b"}', '{app="c", env="dev"}'];
    for (const [i, labels] of streams.entries()) await push(ingester, numbered(i, i + 1), labels);
    const found = async (...matchers: Matcher[]) => (await recentOf(ingester, matchers)).map((r) => Number(r.at(-1)));
    assert.deepEqual(await found(matcher('app', '=', 'a')), [0, 1]);
    assert.deepEqual(await found(matcher('app', '=', 'a'), matcher('env', '!=', 'dev')), [1]);
    assert.deepEqual(await found(matcher('app', '=~', 'a|c'), matcher('env', '=', 'dev')), [0, 3]);
    assert.deepEqual(await found(matcher('app', '!=', ''), matcher('env', '=', '')), [2]);
    assert.deepEqual(await found(matcher('app', '!~', 'a.*')), [2, 3]);
    assert.deepEqual(await found(matcher('env', '=~', '.*'), matcher('app', '=', 'b')), [2]);
    assert.deepEqual(await ingester.labelNames({ tenant: 't', matchers: [], ...ALL_TIME }), ['app', 'env']);
    assert.deepEqual(await ingester.labelValues('env', { tenant: 't', matchers: ANY, ...ALL_TIME }), ['dev', 'prod']);
    assert.equal((await ingester.series({ tenant: 't', matchers: ANY, startNs: T0 + 1n, endNs: T0 + 2n })).length, 2);
  });

  it('says how much it would answer, from heads as from blocks', async () => {
    const ingester = await started();
    const set = { trace: 'ключ', detected_level: 'info' };
    const rows = [
      [T0, 'one', set],
      [T0 + 1n, 'two'],
    ] as const;
    await push(ingester, rows, A);
    await push(ingester, numbered(5, 25), '{app="b"}');
    const all = { tenant: 't', matchers: ANY, ...ALL_TIME };
    const figures = await ingester.stats(all);
    const lines = 6 + numbered(5, 25).reduce((sum, [, line]) => sum + line.length, 0);
    assert.deepEqual(figures, { streams: 2, chunks: 2, rows: 22, bytes: lines + 5 + 8 });
    const late = { ...all, startNs: T0 + 20n };
    assert.equal((await ingester.stats(late)).streams, 1);
    assert.equal((await ingester.stats({ ...all, tenant: 'other' })).chunks, 0);
  });

  it('stores what is in time and names what is too far behind', async () => {
    const ingester = await started();
    const base = 1_795_175_800_000_000_000n;
    await rejectsWith(
      push(ingester, [
        [base, 'newest'],
        [1_795_168_810_000_000_000n, 'too old'],
        [1_795_168_811_000_000_001n, 'too old too'],
        [base - 3_600_000_000_000n, 'just in time'],
      ]),
      400,
      "entry with timestamp 2026-11-20 10:00:10 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-20T10:00:10Z, oldest acceptable timestamp is: 2026-11-20T10:56:40Z',\n" +
        "entry with timestamp 2026-11-20 10:00:11.000000001 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is: 2026-11-20T10:00:11Z, oldest acceptable timestamp is: 2026-11-20T10:56:40Z',\n" +
        'user \'t\', total ignored: 2 out of 4 for stream: {app="a"}',
    );
    const stored = [`${A} ${base - 3_600_000_000_000n} just in time`, `${A} ${base} newest`];
    assert.deepEqual(await recentOf(ingester), stored);
    assert.deepEqual(await recentOf(await crashed()), stored);
  });

  it('refuses a stream beyond the limit and keeps the others', async () => {
    const discarded: unknown[] = [];
    const ingester = await started({
      limits: { max_global_streams_per_user: 2 },
      options: { onDiscarded: (...args) => discarded.push(args) },
    });
    const streams = ['a', 'b', 'c', 'd'].map((app) => ({ labels: `{app="${app}"}`, rows: numbered(0, 1) }));
    await rejectsWith(
      ingester.push(batchOf('t', ...streams)),
      429,
      'maximum active stream limit exceeded when trying to create stream {app="d"}, reduce the number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if the limit can be increased, user: \'t\'',
    );
    assert.equal((await recentOf(ingester)).length, 2);
    assert.deepEqual(discarded, [
      ['t', '{app="c"}', 'stream_limit', 1, 6],
      ['t', '{app="d"}', 'stream_limit', 1, 6],
    ]);
    assert.equal((await recentOf(await crashed({ limits: { max_global_streams_per_user: 1 } }))).length, 2);
  });

  it('hands accepted rows to those who tail', async () => {
    const ingester = await started();
    const seen: string[] = [];
    const stop = ingester.tail('t', [matcher('app', '=', 'a')], (labels, rows) => {
      seen.push(`${labels[0]![1]} ${rows.rowCount} ${rows.lineBytes}`);
    });
    await push(ingester, numbered(0, 2));
    await push(ingester, numbered(0, 1), '{app="b"}');
    await assert.rejects(
      push(ingester, [
        [T0 - 10n ** 13n, 'late'],
        [T0 + 5n, 'fine'],
      ]),
    );
    stop();
    await push(ingester, numbered(9, 10));
    assert.deepEqual(seen, ['a 2 line 0line 1', 'a 1 fine']);
  });

  it('needs the bytes of a push until the log has them, also when something fails behind it', async () => {
    const onTaken = () => assert.fail('no patterns');
    const ingester = await started({ options: { onTaken } });
    const bytes = batchOf('t', { labels: A, rows: numbered(0, 1) });
    await assert.rejects(ingester.push(bytes), { message: 'no patterns' });
    bytes.fill(0);
    assert.deepEqual(await recentOf(await crashed()), [row(0)]);
  });

  it('answers 503 while the disk is full and takes rows again after', async () => {
    let full = false;
    const files: WalFiles = {
      ...nodeFiles,
      create: async (path) => {
        const file = await nodeFiles.create(path);
        return {
          ...file,
          writev: (buffers, position) => {
            if (full) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
            return file.writev(buffers, position);
          },
        };
      },
    };
    const ingester = await started({ options: { wal: { directory, files, retryMs: 5 } } });
    await push(ingester, numbered(0, 1));
    full = true;
    const isUnavailable = (error: unknown) => error instanceof PushRejectedError && error.status === 503;
    await assert.rejects(push(ingester, numbered(1, 2)), isUnavailable);
    await assert.rejects(push(ingester, numbered(2, 3)), isUnavailable);
    full = false;
    await until(async () => {
      await clock.advance(10);
      return push(ingester, numbered(1, 3)).then(
        () => true,
        () => false,
      );
    }, 'a push goes through again');
    // What the log does not take goes to the store, since that may make room.
    await until(async () => sink.rows('t').includes(row(0)), 'rows are stored');
    const all = [0, 1, 2].map((i) => row(i));
    assert.deepEqual([...new Set([...sink.rows('t'), ...(await recentOf(ingester))])].sort(), all);
    const restarted = await crashed();
    assert.deepEqual([...new Set([...sink.rows('t'), ...(await recentOf(restarted))])].sort(), all);
  });
});

describe('flushing', () => {
  it('moves rows to the object store without a gap or a double at any moment', async () => {
    const ingester = await started({ config: { blockRows: 50, concurrentEncodes: 2 } });
    let pushed = 0;
    let flushes = 0;
    let looks = 0;
    const look = async () => {
      const expected = pushed;
      const all = [...sink.rows('t'), ...(await recentOf(ingester))];
      assert.equal(new Set(all).size, all.length, 'no row twice');
      assert.ok(all.length >= expected, 'no row missing');
      looks++;
    };
    sink.before = look;
    sink.after = look;
    const flushing = (async () => {
      while (flushes < 20) {
        await ingester.flush();
        flushes++;
      }
    })();
    while (flushes < 20) {
      await push(ingester, numbered(pushed, pushed + 7));
      pushed += 7;
      await look();
    }
    await flushing;
    await ingester.flush();
    assert.deepEqual(await recentOf(ingester), []);
    assert.equal(sink.rows('t').length, pushed);
    assert.ok(looks > 40);
  });

  it('stores very many streams in several segments, each once', async () => {
    const ingester = await started();
    const streams = Array.from({ length: 4500 }, (_, i) => ({ labels: `{app="${i}"}`, rows: numbered(i, i + 1) }));
    await ingester.push(batchOf('t', ...streams));
    await ingester.flush();
    assert.deepEqual([...sink.segments.values()].map((series) => series.length).sort(), [4000, 500]);
    assert.equal(new Set(sink.rows('t')).size, 4500);
    assert.deepEqual(await recentOf(ingester), []);
  });

  it('brings no stored row back after a crash, wherever it happens', async () => {
    const ingester = await started({ config: { blockRows: 4 } });
    await push(ingester, numbered(0, 6));
    await push(ingester, numbered(0, 3), '{app="b"}');
    const expected = [...numbered(0, 6).map((_, i) => row(i)), ...[0, 1, 2].map((i) => row(i, '{app="b"}'))].sort();
    const seen: string[][] = [];
    const crash = async () => {
      const other = await crashed();
      seen.push([...sink.rows('t'), ...(await recentOf(other))].sort());
    };
    sink.before = async () => {
      sink.before = () => {};
      await crash();
    };
    sink.after = async () => {
      sink.after = () => {};
      await crash();
    };
    const published = new Set(sink.published);
    await ingester.flush();
    assert.equal(published.size, 0);
    await push(ingester, numbered(6, 7));
    await crash();
    assert.deepEqual(seen, [expected, expected, [...expected, row(6)].sort()]);
  });

  it('keeps rows while the object store fails, refuses pushes at the bound, and recovers', async () => {
    const ingester = await started({ config: { maxUnflushedBytes: 20_000, flushBackoffMinMs: 10 } });
    let failures = 0;
    sink.before = () => {
      failures++;
      throw new Error('503 Slow Down');
    };
    let pushed = 0;
    await assert.rejects(
      (async () => {
        for (;;) {
          await push(ingester, numbered(pushed, pushed + 10));
          pushed += 10;
        }
      })(),
      (error: unknown) => error instanceof PushRejectedError && error.status === 503,
    );
    const flushed = ingester.flush();
    await until(async () => {
      await clock.advance(10_000);
      return failures > 3;
    }, 'several attempts');
    assert.equal((await recentOf(ingester)).length, pushed);
    sink.before = () => {};
    await until(async () => {
      await clock.advance(60_000);
      return sink.published.size > 0;
    }, 'the segment is stored');
    await flushed;
    await push(ingester, numbered(pushed, pushed + 10));
    assert.equal(sink.rows('t').length + (await recentOf(ingester)).length, pushed + 10);
  });

  it('flushes a stream that is full, one that is idle and one that is old, and counts why', async () => {
    const options = ingesterOptions(directory, sink, clock, {
      config: { blockBytes: 500, chunkTargetBytes: 2_000, chunkIdleMs: 60_000, maxChunkAgeMs: 150_000 },
    });
    const ingester = new Ingester(options);
    await ingester.start();
    running.push(ingester);
    const reasons = async () => {
      const metric = await options.registry.getSingleMetric('loki_ingester_chunks_flushed_total')!.get();
      return Object.fromEntries(metric.values.map(({ labels, value }) => [labels.reason, value]));
    };
    await push(ingester, numbered(0, 1), '{app="idle"}');
    await push(ingester, numbered(0, 1), '{app="old"}');
    await push(ingester, numbered(0, 200), '{app="full"}');
    await until(
      async () =>
        (await ingester.recent({ tenant: 't', matchers: [matcher('app', '=', 'full')], ...ALL_TIME }))[0]!.blocks
          .length > 0,
      'encoded',
    );
    ingester.checkFlush();
    await until(async () => (await reasons())['full'] === 1, 'full');
    for (let i = 1; i < 4; i++) {
      await clock.advance(50_000);
      await push(ingester, numbered(i, i + 1), '{app="old"}');
    }
    await until(async () => {
      ingester.checkFlush();
      return (await reasons())['max_age'] === 1;
    }, 'max_age');
    assert.deepEqual(await reasons(), { full: 1, idle: 1, max_age: 1 });
  });

  it('flushes what holds the oldest half of a log that grew too large', async () => {
    const ingester = await started({
      config: { maxWalBytes: 5_000 },
      options: { wal: { directory, segmentBytes: 1_000 } },
    });
    await push(ingester, numbered(0, 1), '{app="old"}');
    for (let i = 0; i < 60; i++) await push(ingester, numbered(i, i + 1), `{app="b${i % 2}"}`);
    const newest = '{app="new"}';
    await push(ingester, numbered(0, 1), newest);
    ingester.checkFlush();
    await until(() => sink.published.size === 1, 'a segment');
    const old = ['{app="old"}', '{app="b0"}', '{app="b1"}'];
    assert.deepEqual([...new Set(sink.rows('t').map((r) => r.slice(0, r.indexOf('}') + 1)))].sort(), old.sort());
    assert.deepEqual(await recentOf(ingester), [row(0, newest)]);
  });

  it('flushes the largest streams when memory runs short, without waiting for the period', async () => {
    const ingester = await started({ config: { flushBytes: 30_000 } });
    await push(ingester, numbered(0, 1), '{app="small"}');
    for (let i = 0; i < 2_000; i += 100) await push(ingester, numbered(i, i + 100), '{app="large"}');
    await until(() => sink.published.size > 0, 'a segment');
    assert.ok(sink.rows('t').every((r) => r.startsWith('{app="large"}')));
    assert.deepEqual(await recentOf(ingester, [matcher('app', '=', 'small')]), [row(0, '{app="small"}')]);
  });

  it('lets large pushes wait while too much waits to be encoded, but not for ever, and small ones not at all', async () => {
    const gate = Promise.withResolvers<void>();
    const encoder = encoderOf(async (head) => {
      await gate.promise;
      return jsonEncoder.encode(head);
    });
    using _opened = { [Symbol.dispose]: gate.resolve }; // the ingester waits for it when it stops
    const ingester = await started({ options: { encoder }, config: { blockRows: 100, maxHeadBytes: 4 * 65_536 } });
    const large = (from: number): TestRow[] =>
      numbered(from, from + 100).map(([ns, line]) => [ns, line.padEnd(1_000, '.')]);
    await push(ingester, large(0));
    const states = ['waits', 'waits'];
    const pushes = states.map((_, i) =>
      push(ingester, large(100 * (i + 1))).then(() => {
        states[i] = 'done';
      }),
    );
    await push(ingester, numbered(1_000, 1_001), '{app="small"}');
    assert.deepEqual(states, ['waits', 'waits']);
    await clock.advance(2_000);
    await Promise.all(pushes);
    const last = push(ingester, large(300));
    gate.resolve();
    await last;
    assert.equal((await recentOf(ingester, [matcher('app', '=', 'a')])).length, 400);
  });

  it('reads a log that is larger than memory, storing rows on the way', async () => {
    const first = await started();
    for (let i = 0; i < 2_000; i += 100) await push(first, numbered(i, i + 100));
    const second = await crashed({ config: { flushBytes: 20_000, blockRows: 100 } });
    assert.ok(sink.published.size > 1);
    const all = [...sink.rows('t'), ...(await recentOf(second))].sort();
    const expected = numbered(0, 2_000).map((_, i) => row(i));
    assert.deepEqual(all, expected.sort());
  });

  it('forgets idle streams and drops segments of the log that nothing needs', async () => {
    const ingester = await started({
      options: { wal: { directory, segmentBytes: 2_000 } },
      config: { chunkIdleMs: 1_000 },
    });
    for (let i = 0; i < 100; i++) await push(ingester, numbered(i, i + 1));
    const segments = async () => (await readdir(directory)).filter((name) => name.endsWith('.wal')).length;
    assert.ok((await segments()) > 3);
    await ingester.flush();
    assert.equal(await segments(), 1);
    // The newest row decides as long as the stream is known.
    await assert.rejects(push(ingester, [[T0 - 3_700_000_000_000n, 'late']]));
    await push(ingester, numbered(99, 100)); // repeats the last row
    assert.deepEqual(await recentOf(ingester), []);
    await clock.advance(31_000);
    await until(
      () =>
        push(ingester, [[T0 - 3_700_000_000_000n, 'late']]).then(
          () => true,
          () => false,
        ),
      'forgotten',
    );
  });

  it('leaves no log behind when it stops with everything stored, and all of it when the store fails', async () => {
    const first = await started();
    await push(first, numbered(0, 5));
    await first.stop(10_000);
    assert.equal(sink.rows('t').length, 5);
    assert.deepEqual(await readdir(directory), []);
    const second = await started();
    await push(second, numbered(5, 8));
    sink.before = () => {
      throw new Error('down');
    };
    let isStopped = false;
    void second.stop(5).then(() => {
      isStopped = true;
    });
    await until(async () => {
      await clock.advance(5);
      return isStopped;
    }, 'stopped');
    await rejectsWith(push(second, numbered(8, 9)), 503, 'the ingester is stopping');
    assert.deepEqual(
      await recentOf(await started()),
      [5, 6, 7].map((i) => row(i)),
    );
  });
});

describe('reading the log again', () => {
  it('leaves the log alone when it is stopped while reading', async () => {
    const first = await started();
    for (let i = 0; i < 300; i++) await push(first, numbered(i, i + 1));
    const copy = await mkdtemp(join(tmpdir(), 'ingester-'));
    copies.push(copy);
    for (const name of await readdir(directory)) if (name !== 'lock') await cp(join(directory, name), join(copy, name));
    const second = new Ingester(ingesterOptions(copy, sink, clock, { config: { flushBytes: 2_000 } }));
    sink.after = () => {
      sink.after = () => {};
      void second.stop(10_000);
    };
    await assert.rejects(second.start(), /stopped/);
    sink.restart();
    const third = await started({}, copy);
    const all = [...sink.rows('t'), ...(await recentOf(third))].sort();
    const expected = numbered(0, 300).map((_, i) => row(i));
    assert.deepEqual(all, expected.sort());
  });

  it('brings back exactly the rows that were there, whatever was pushed, cut, stored or interrupted', async () => {
    const row = fc.tuple(
      fc.integer({ min: 0, max: 5000 }),
      fc.string({ maxLength: 12 }),
      fc.option(fc.constantFrom('x', 'y')),
    );
    const stream = fc.record({
      app: fc.constantFrom('a', 'b', 'c'),
      rows: fc.array(row, { minLength: 1, maxLength: 12 }),
    });
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          kind: fc.constant('push' as const),
          streams: fc.array(stream, { minLength: 1, maxLength: 3 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash while storing' as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        sink = new MemorySink();
        const overrides = (dir: string) => ({
          config: { blockRows: 9, maxChunkAgeMs: 4 },
          options: { wal: { directory: dir, segmentBytes: 600 } },
        });
        const fresh = async () => {
          const dir = await mkdtemp(join(tmpdir(), 'ingester-'));
          copies.push(dir);
          return dir;
        };
        let dir = await fresh();
        let ingester = await started(overrides(dir), dir);
        const all = async () => [...sink.rows('t'), ...(await recentOf(ingester))].sort();
        const crash = async () => {
          const copy = await fresh();
          for (const name of await readdir(dir)) if (name !== 'lock') await cp(join(dir, name), join(copy, name));
          return copy;
        };
        const restart = async (copy: string) => {
          // What the old process still does must not reach the new one's store.
          const stored = sink.segments;
          sink = Object.assign(new MemorySink(), { segments: new Map(stored) });
          sink.restart();
          dir = copy;
          ingester = await started(overrides(dir), dir);
        };
        for (const [i, s] of steps.entries()) {
          if (s.kind === 'push') {
            const streams = s.streams.map(({ app, rows }) => ({
              labels: `{app="${app}"}`,
              rows: rows.map(([us, line, k]): TestRow => {
                const ns = T0 + BigInt(us) * 1000n;
                return k === null ? [ns, `${i} ${line}`] : [ns, `${i} ${line}`, { k }];
              }),
            }));
            await ingester.push(batchOf('t', ...streams)).catch((error: unknown) => {
              assert.ok(error instanceof PushRejectedError && error.status === 400);
            });
          } else if (s.kind === 'flush') {
            const before = await all();
            await ingester.flush();
            assert.deepEqual(await all(), before);
          } else {
            const before = await all();
            let copy: string | null = null;
            if (s.kind === 'crash while storing') {
              sink.after = async () => {
                copy ??= await crash();
              };
              await ingester.flush();
            }
            await restart(copy ?? (await crash()));
            assert.deepEqual(await all(), before);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
