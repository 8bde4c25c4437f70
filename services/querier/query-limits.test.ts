import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { ScanUnit } from '../../storage/scan/units.ts';
import { type BlockedQuery, defaultLimits, type Limits } from '../config/limits.ts';
import { checkBlocked, kindOf, parseQueryTags } from './blocked-queries.ts';
import { bytesOf, checkBytesRead } from './byte-limits.ts';
import { checkExpression, QueryLimitError, strictest } from './query-limits.ts';
import { parseRequestLimits, RequestLimitsError, tightened } from './request-limits.ts';

const limitsOf = (own: Partial<Limits>): Limits => ({ ...defaultLimits, ...own });

function refusal(run: () => void): string | null {
  try {
    run();
    return null;
  } catch (error: unknown) {
    assert.ok(error instanceof QueryLimitError, `not a QueryLimitError: ${error}`);
    return error.message;
  }
}

test('the kind of a query is metric, filter when lines are left out, else limited', () => {
  const cases: [query: string, kind: string][] = [
    ['{a="b"}', 'limited'],
    ['{a="b"} | json | line_format "x"', 'limited'],
    ['{a="b"} |= ""', 'limited'],
    ['{a="b"} |~ ""', 'limited'],
    ['{a="b"} != ""', 'filter'],
    ['{a="b"} |= "x"', 'filter'],
    ['{a="b"} | json | c="d"', 'filter'],
    ['rate({a="b"}[1m])', 'metric'],
    ['1', 'metric'],
  ];
  for (const [query, kind] of cases) assert.equal(kindOf(parseQuery(query)), kind, query);
});

test('the first rule that fits the text of a query decides', () => {
  const isBlocked = (rules: readonly BlockedQuery[], query: string, tags = '') =>
    refusal(() =>
      checkBlocked(limitsOf({ blocked_queries: rules }), query, parseQuery(query), parseQueryTags(tags)),
    ) !== null;
  const query = '{app="web"}';
  assert.equal(isBlocked([], query), false);
  assert.equal(isBlocked([{}], query), true, 'a rule without a text fits all');
  assert.equal(isBlocked([{ pattern: ' {app="web"} ' }], ` ${query}`), true);
  assert.equal(isBlocked([{ pattern: 'web' }], query), false);
  assert.equal(isBlocked([{ pattern: 'we[ab]', regex: true }], query), true, 'anywhere in the text');
  assert.equal(isBlocked([{ pattern: '^web', regex: true }], query), false);
  assert.equal(isBlocked([{ pattern: 'web', regex: true, types: ['metric'] }, {}], query), false, 'the first decides');
  assert.equal(isBlocked([{ pattern: 'db', regex: true, types: ['limited'] }, {}], query), true);
  assert.equal(isBlocked([{ types: ['limited'], query_tags: { A: 'x' } }], query, 'a=X'), true);
  assert.equal(isBlocked([{ query_tags: { a: 'x', b: 'y' } }], query, 'a=x'), false);
  assert.equal(isBlocked([{ hash: 1 }], query), false);
  assert.equal(isBlocked([{ hash: 0xa9af5bbb }], query), false, 'another query has this hash');
});

test('tags are pairs, what is no pair is left out', () => {
  assert.deepEqual(parseQueryTags('Source=grafana, Feature=be/ta,,x,a=b=c,=d'), [
    ['source', 'grafana'],
    [' feature', 'be_ta'],
  ]);
});

test('matchers are counted as they stand, also several of one label', () => {
  const query = parseQuery('{a="1", a!="2", b=~".+"}');
  assert.equal(
    refusal(() => checkExpression(limitsOf({ minimum_labels_number: 3 }), query)),
    null,
  );
  assert.equal(
    refusal(() => checkExpression(limitsOf({ minimum_labels_number: 4 }), query)),
    'stream selector has less label matchers than required: (present: [a, a, b], number_present: 3, required_number_label_matchers: 4)',
  );
  assert.equal(
    refusal(() => checkExpression(limitsOf({ max_streams_matchers_per_query: 2 }), query)),
    'max streams matchers per query exceeded, matchers-count > limit (3 > 2)',
  );
});

test('a scan is as large as lines and metadata of its blocks', () => {
  const block = (lineBytes: number, metadataBytes: number) => ({ lineBytes, metadataBytes });
  const units = [{ blocks: [block(10, 1), block(20, 2)] }, { blocks: [block(30, 3)] }] as unknown as ScanUnit[];
  assert.equal(bytesOf(units), 66);
});

test('sizes are compared whole for the query, and in parts of powers of two for a querier', () => {
  const KB = 1024;
  const check = (bytes: number, own: Partial<Limits>) => refusal(() => checkBytesRead(limitsOf(own), bytes));
  assert.equal(check(10 * KB, { max_query_bytes_read: 10 * KB }), null);
  assert.match(check(10 * KB + 1, { max_query_bytes_read: 10 * KB })!, /\(query: 10 KiB, limit: 10 KiB\)/);
  assert.equal(check(1e18, { max_query_bytes_read: 0, max_querier_bytes_read: 0 }), null);
  assert.match(
    refusal(() => checkBytesRead(limitsOf({ max_query_bytes_read: KB }), 10, 2 * KB))!,
    /\(query: 2\.0 KiB, limit: 1\.0 KiB\)/,
    'of a query that a client divided the whole counts',
  );
  const parts = (bytes: number, part: number, max: number) =>
    check(bytes, { tsdb_max_bytes_per_shard: part, max_querier_bytes_read: max });
  assert.match(parts(4 * KB, 4 * KB, KB)!, /^un-shardable query too large .*\(query: 4\.0 KiB, limit: 1\.0 KiB\)/);
  assert.match(parts(9 * KB, 4 * KB, KB)!, /^shard query is too large .*\(query: 2\.3 KiB, limit: 1\.0 KiB\)/);
  assert.equal(parts(9 * KB, 4 * KB, 2304), null);
  assert.equal(check(100e12, {}), null, 'by default a query is divided into parts far below the limit');
});

test('of several tenants the strictest limit holds', () => {
  const limits = strictest([
    limitsOf({ max_query_bytes_read: 0, max_querier_bytes_read: 50, max_streams_matchers_per_query: 9 }),
    limitsOf({ max_query_bytes_read: 70, max_querier_bytes_read: 90, max_streams_matchers_per_query: 3 }),
  ]);
  assert.deepEqual(
    [limits.max_query_bytes_read, limits.max_querier_bytes_read, limits.max_streams_matchers_per_query],
    [70, 50, 3],
  );
});

test('limits of a request are read as Loki reads them, and hold where they are stricter', () => {
  const own = parseRequestLimits(
    '{"maxQueryLength":"1h","maxQueryInterval":"5m","maxQueryLookback":"2h","maxEntriesLimitPerQuery":10,' +
      '"maxQueryTime":"5s","requiredLabels":["b","a"],"minimumLabelsNumber":2,"maxQueryBytesRead":"10MB","other":1}',
  );
  const limits = tightened(
    limitsOf({ max_query_length: 1000, max_query_range: 0, required_labels: ['a'], minimum_labels_number: 3 }),
    own,
  );
  assert.equal(limits.max_query_length, 1000);
  assert.equal(limits.max_query_range, 300_000);
  assert.equal(limits.max_query_lookback, 7_200_000);
  assert.equal(limits.max_entries_limit_per_query, 10);
  assert.equal(limits.query_timeout, 5000);
  assert.deepEqual(limits.required_labels, ['a', 'b']);
  assert.equal(limits.minimum_labels_number, 3);
  assert.equal(limits.max_query_bytes_read, 10 * 1024 * 1024);
  assert.deepEqual(tightened(defaultLimits, parseRequestLimits('{}')), defaultLimits);
});

test('limits of a request that cannot be read are an error', () => {
  const wrong = ['', '[]', 'null', '{"maxQueryLength":60}', '{"maxQueryTime":"soon"}', '{"requiredLabels":"a"}'];
  for (const header of [...wrong, '{"maxQueryBytesRead":"much"}', '{"minimumLabelsNumber":1.5}']) {
    assert.throws(() => parseRequestLimits(header), RequestLimitsError, header);
  }
});
