import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits, type Limits } from '../config/limits.ts';
import type { PatternRequest, PatternSeries } from '../rpc/patterns.ts';
import { mostFrequent, Patterns, renderPatterns } from './patterns.ts';

const NOW_NS = 1_800_000_005_000_000_000n;
const TENANTS = { ids: ['a'], federated: false };

function answering(series: Readonly<Record<string, readonly PatternSeries[]>>, own: Partial<Limits> = {}) {
  const asked: PatternRequest[] = [];
  const patterns = new Patterns({
    clients: () => [
      {
        patterns: (request) => {
          asked.push(request);
          return Promise.resolve(series[request.tenant] ?? []);
        },
      },
    ],
    limits: { for: () => ({ ...defaultLimits, ...own }) },
    clock: { nowMs: () => Number(NOW_NS / 1_000_000n), nowNs: () => NOW_NS, sleep: () => Promise.resolve() },
    sampleIntervalMs: 10_000,
  });
  return { patterns, asked };
}

const formOf = (params: Record<string, string>) => new URLSearchParams(params);
const one = (pattern: string, ...samples: [number, number][]): PatternSeries => ({ pattern, level: 'info', samples });

test('the range is made of whole steps, and no step is shorter than the interval of samples', async () => {
  const { patterns, asked } = answering({});
  const query = '{app="x"}';
  await patterns.query(TENANTS, formOf({ query, start: '1800000003', end: '1800000007', step: '1' }));
  await patterns.query(TENANTS, formOf({ query, start: '1800000003', end: '1800000061', step: '1m' }));
  assert.deepEqual(
    asked.map(({ startMs, endMs, stepMs }) => [startMs, endMs, stepMs]),
    [
      [1_800_000_000_000, 1_800_000_010_000, 10_000],
      [1_800_000_000_000, 1_800_000_120_000, 60_000],
    ],
  );
});

test('patterns of fewer than thirty lines are left out, the others come with the most lines first', () => {
  const series = [one('rare', [0, 29]), one('some', [0, 15], [10, 15]), one('many', [0, 100])];
  assert.deepEqual(
    mostFrequent(series, 300).map(({ pattern }) => pattern),
    ['many', 'some'],
  );
  assert.equal(mostFrequent(series, 1).length, 1);
});

test('the same pattern of several tenants is one', async () => {
  const { patterns } = answering({ a: [one('p', [0, 30], [20, 5])], b: [one('p', [10, 1], [20, 40])] });
  const tenants = { ids: ['a', 'b'], federated: true };
  assert.deepEqual(await patterns.query(tenants, formOf({ query: '{app="x"}' })), [
    one('p', [0, 30], [10, 1], [20, 45]),
  ]);
  assert.deepEqual(await patterns.query(tenants, formOf({ query: '{app="x", __tenant_id__="b"}' })), [
    one('p', [10, 1], [20, 40]),
  ]);
});

test('what is no selector, and what the limits refuse, is an error', async () => {
  const { patterns } = answering({}, { max_query_length: 3_600_000, required_labels: ['env'] });
  const cases: [params: Record<string, string>, error: RegExp][] = [
    [{ query: '' }, /^parse error : syntax error: unexpected \$end$/],
    [{ query: '{env="x"} |= "a"' }, /only label matchers are supported/],
    [{ query: '{app="x"}' }, /missing required matchers \[env\]/],
    [{ query: '{env="x"}', since: '2h' }, /the query time range exceeds the limit/],
    [{ query: '{env="x"}', step: '0' }, /^zero or negative query resolution step/],
    [{ query: '{env="x"}', start: '5', end: '4' }, /^end timestamp must not be before/],
  ];
  for (const [params, message] of cases) {
    await assert.rejects(patterns.query(TENANTS, formOf(params)), { message }, JSON.stringify(params));
  }
});

test('a range before the lookback of the tenant has no patterns', async () => {
  const { patterns, asked } = answering({}, { max_query_lookback: 1000 });
  assert.deepEqual(await patterns.query(TENANTS, formOf({ query: '{app="x"}', start: '1', end: '2' })), []);
  assert.deepEqual(asked, []);
});

test('the body has whole seconds and escapes what HTML would read', () => {
  assert.equal(renderPatterns([]), '{"status":"success","data":[]}\n');
  assert.equal(
    renderPatterns([one('took <_> & "x"', [10_000, 3], [20_000, 4])]),
    '{"status":"success","data":[{"pattern":"took \\u003c_\\u003e \\u0026 \\"x\\"","level":"info","samples":[[10,3],[20,4]]}]}\n',
  );
});
