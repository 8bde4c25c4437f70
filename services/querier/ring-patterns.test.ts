import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { parseMatchers } from '../../logql/syntax/index.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { defaultLimits } from '../config/limits.ts';
import { batchOf } from '../ingester/testdata/fixture.ts';
import { PatternIngester } from '../patterns/index.ts';
import { patternConfig } from '../patterns/testing/pattern-config.ts';
import type { MemberStatus, ReadSet } from '../ring/index.ts';
import {
  type PatternRequest,
  type PatternSeries,
  PatternsUnavailableError,
  type StreamPatternClient,
  type StreamPatterns,
} from '../rpc/patterns.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { type Served, serve } from '../rpc/testing/served-ingester.ts';
import { mergeReplicas, RingPatterns } from './ring-patterns.ts';

const MINUTE_MS = 60_000;
const request: PatternRequest = {
  tenant: 'a',
  matchers: parseMatchers('{app=~"x|y"}'),
  startMs: 0,
  endMs: 4e12,
  stepMs: 10_000,
};
const NOW_MS = Math.floor(systemClock.nowMs() / MINUTE_MS) * MINUTE_MS;

const one = (pattern: string, ...samples: [number, number][]): PatternSeries => ({ pattern, level: 'info', samples });
const of = (stream: string, ...series: PatternSeries[]): StreamPatterns => ({ stream, series });

describe('what several ingesters found', () => {
  it('counts lines once that replicas have seen, and adds up those of different streams', () => {
    const x = of('{app="x"}', one('p', [0, 5], [10, 7]), one('q', [0, 1]));
    const y = of('{app="y"}', one('p', [0, 2]));
    assert.deepEqual(mergeReplicas([[x, y], [x], [y, x]]), [one('p', [0, 7], [10, 7]), one('q', [0, 1])]);
  });

  it('takes each step from the replica that counted most lines, with the patterns that it found', () => {
    const before = of('{app="x"}', one('p <_>', [0, 5], [10, 2]));
    const after = of('{app="x"}', one('p 1', [10, 2]), one('p 2', [10, 2], [20, 9]));
    assert.deepEqual(mergeReplicas([[before], [after]]), [
      one('p <_>', [0, 5]),
      one('p 1', [10, 2]),
      one('p 2', [10, 2], [20, 9]),
    ]);
  });
});

function findPatterns(): PatternIngester {
  return new PatternIngester({
    config: patternConfig,
    limits: { for: () => defaultLimits },
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
  });
}

const serveIngester = (id: string, patterns: StreamPatternClient | null, maxAnswerBytes = 1 << 20): Promise<Served> =>
  serve(
    ingesterOf(async () => [], id),
    { maxAnswerBytes },
    { patterns },
  );

/** Asks all of them, of which `failures` may fail. */
function ringOf(served: readonly Served[], failures = 0, isReplicated = true): RingPatterns {
  const members = served.map(
    ({ remote }): MemberStatus => ({
      id: remote.id,
      zone: '',
      healthy: true,
      address: '',
      state: 'ACTIVE',
      registeredAtMs: 0,
      heartbeatAtMs: 0,
    }),
  );
  const set: ReadSet = {
    members,
    maxFailures: failures,
    maxFailedZones: 0,
    tolerates: (failed) => [...failed].length <= failures,
  };
  return new RingPatterns({
    readSet: () => set,
    client: (id) => served.find(({ remote }) => remote.id === id)?.remote ?? null,
    isReplicated,
    clock: systemClock,
  });
}

const linesOf = (app: string, count: number, second: number) =>
  batchOf('a', {
    labels: `{app="${app}"}`,
    rows: Array.from({ length: count }, (_, i) => [
      BigInt(NOW_MS + second * 1000 + i) * 1_000_000n,
      `request ${i} of client done`,
    ]),
  });

describe('the patterns of ingesters in other processes', () => {
  it('are those of one process when each stream lies on both of them', async () => {
    const [alone, first, second] = [findPatterns(), findPatterns(), findPatterns()];
    await using a = await serveIngester('i-1', first);
    await using b = await serveIngester('i-2', second);
    const pushes = [linesOf('x', 40, 0), linesOf('y', 50, 0), linesOf('x', 30, 25), linesOf('z', 99, 0)];
    for (const finder of [alone, first, second]) for (const batch of pushes) finder.push('a', batch);
    second.push('b', batchOf('b', { labels: '{app="x"}', rows: [[BigInt(NOW_MS) * 1_000_000n, 'of another tenant']] }));
    const expected = [
      {
        pattern: 'request <_> of client done',
        level: 'unknown',
        samples: [
          [NOW_MS, 90],
          [NOW_MS + 20_000, 30],
        ],
      },
    ];
    assert.deepEqual(await alone.patterns(request), expected);
    const both = ringOf([a, b]);
    assert.deepEqual(await both.patterns(request), expected);
    const minutes = { ...request, stepMs: MINUTE_MS, startMs: NOW_MS, endMs: NOW_MS + MINUTE_MS };
    assert.deepEqual(await both.patterns(minutes), [{ ...expected[0]!, samples: [[NOW_MS, 120]] }]);
    assert.deepEqual(await both.patterns({ ...request, tenant: 'nobody' }), []);
    await Promise.all([alone, first, second].map((finder) => finder.stop()));
    await assert.rejects(both.patterns(request), { code: 'unavailable' });
  });

  it('are added up where each line lies on one of them', async () => {
    const part = (...samples: [number, number][]): StreamPatternClient => ({
      streamPatterns: async () => [of('{app="x"}', one('p', ...samples))],
    });
    await using a = await serveIngester('i-1', part([0, 5]));
    await using b = await serveIngester('i-2', part([0, 2], [10_000, 1]));
    assert.deepEqual(await ringOf([a, b], 0, false).patterns(request), [one('p', [0, 7], [10_000, 1])]);
  });

  it('come in several messages, with each pattern at its stream, and are refused when they are too much', async () => {
    const found = ['x', 'y'].map((app) =>
      of(
        `{app="${app}"}`,
        ...Array.from({ length: 90 }, (_, i) => one(`${app} ${i} ${'long'.repeat(5000)}`, [i * 1e9, 2 ** 40 + i])),
      ),
    );
    const source: StreamPatternClient = { streamPatterns: async () => found };
    await using served = await serveIngester('i', source, 8 << 20);
    assert.deepEqual(await served.remote.streamPatterns(request), found);
    await using small = await serveIngester('i', source, 2 << 20);
    await assert.rejects(
      small.remote.streamPatterns(request),
      /patterns that an ingester found take more than 2097152/,
    );
  });

  it('are told without those who fail, as long as reads do without them', async () => {
    const works: StreamPatternClient = { streamPatterns: async () => [of('{app="x"}', one('p', [0, 5]))] };
    const starts: StreamPatternClient = {
      streamPatterns: () => Promise.reject(new PatternsUnavailableError('starts anew')),
    };
    await using a = await serveIngester('i-1', works);
    await using b = await serveIngester('i-2', starts);
    await using c = await serveIngester('i-3', works);
    await using d = await serveIngester('i-4', null);
    assert.deepEqual(await ringOf([a, b, c], 1).patterns(request), [one('p', [0, 5])]);
    await assert.rejects(ringOf([a, b]).patterns(request), /code = Unavailable desc = starts anew/);
    await assert.rejects(ringOf([a, d]).patterns(request), { code: 'failed_precondition' });
  });

  it('are not asked for in steps of no length', async () => {
    await using served = await serveIngester('i', { streamPatterns: async () => [] });
    await assert.rejects(served.remote.streamPatterns({ ...request, stepMs: 0 }), { code: 'invalid_argument' });
  });
});
