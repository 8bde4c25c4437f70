import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { Series } from '../../logql/aggregate/index.ts';
import { labelsKey } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import { encodeBlocks } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { SegmentCatalog } from '../../storage/index/index.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { logQuery, metricQuery } from '../../test/property/arbitrary-query.ts';
import { rows as arbitraryRows, ORIGIN_NS, SPAN_SECONDS } from '../../test/property/arbitrary-rows.ts';
import type { ReferenceRow } from '../../test/reference/row.ts';
import type { Limits } from '../config/limits.ts';
import { onlyIngester } from '../querier/ingester-set.ts';
import type { RangeParams } from '../querier/params.ts';
import type { QueryAnswer, QueryContext } from '../querier/querier.ts';
import { renderAnswer } from '../querier/query-response.ts';
import type { RecentRequest, RecentStream } from '../rpc/ingester.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { type Front, querierOver, startFront, startWorker } from './testing/cluster.ts';
import type { QuerierWorker } from './worker.ts';

/*
 * A frontend that divides queries among two queriers answers as one querier does that is asked for the whole.
 * LOPTR_FUZZ_RUNS for more queries, LOPTR_FUZZ_SEED for certain ones.
 */

const numRuns = Number(process.env['LOPTR_FUZZ_RUNS'] ?? 200);
const seed = process.env['LOPTR_FUZZ_SEED'];
const parameters = { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) };

const directory = mkdtempSync(join(tmpdir(), 'loptr-frontend-'));
const objectStore = { kind: 'filesystem' as const, directory };
let pool: WorkerPool;
let front: Front;
let workers: QuerierWorker[];
let direct: ReturnType<typeof querierOver>['querier'];
/** What is asked now. */
let stored: readonly ReferenceRow[] = [];
let limits: Partial<Limits> = {};

before(async () => {
  pool = new WorkerPool({ size: 1, settings: { objectStore }, logger: silentLogger });
  front = await startFront({ limits: () => limits });
  const sources = {
    catalog: new SegmentCatalog(new FilesystemStore(objectStore), silentLogger),
    recent: onlyIngester(
      ingesterOf(async (request) => recent(request)),
      systemClock,
    ),
  };
  const one = querierOver(sources, pool, front.limits, systemClock);
  direct = one.querier;
  workers = ['one', 'two'].map((querier) => startWorker(front, { ...one, querier }));
});
after(async () => {
  await Promise.all(workers.map((worker) => worker.stop(AbortSignal.abort())));
  await front.stop();
  await pool.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Rows of one tenant: every other stream is the other's. Each stream has a block and a head. */
function recent({ tenant, matchers, startNs, endNs }: RecentRequest): RecentStream[] {
  const matches = compileMatchers(matchers);
  const streams = [...Map.groupBy(stored, ({ stream }) => labelsKey(stream)).values()];
  return streams.flatMap((members, i): RecentStream[] => {
    const labels = members[0]!.stream;
    if ((tenant === 'b') !== (i % 2 === 1) && tenant !== 'all') return [];
    if (!matches(labels)) return [];
    const rows = members.map(({ timestampNs, line, metadata }) => ({ ns: timestampNs, line, metadata }));
    const half = rows.length >> 1;
    const blocks = half === 0 ? [] : encodeBlocks(headOf(rows.slice(0, half)));
    const inTime = blocks.filter(({ stats }) => stats.minNs <= endNs && stats.maxNs >= startNs);
    return [{ labels, blocks: inTime, heads: [headOf(rows.slice(half))] }];
  });
}

const second = 1_000_000_000n;
const moment = fc
  .integer({ min: -8, max: SPAN_SECONDS * 2 + 8 })
  .map((half) => ORIGIN_NS + (BigInt(half) * second) / 2n);
const asked = fc
  .record({
    ends: fc.tuple(moment, moment),
    limit: fc.constantFrom(1, 2, 5, 30, 100),
    direction: fc.constantFrom('forward' as const, 'backward' as const),
    intervalNs: fc.constantFrom(0n, 0n, 0n, second, 2n * second + 1n),
    stepNs: fc.constantFrom(second / 2n, second, 3n * second, 7n * second),
  })
  .map(({ ends: [a, b], ...rest }) => ({ ...rest, startNs: a < b ? a : b, endNs: a < b ? b : a }));
const situation = fc.record({
  split: fc.constantFrom(0, 1000, 2000, 3000, 7000),
  parallelism: fc.constantFrom(1, 2, 32),
  maxSeries: fc.constantFrom(500, 500, 3, 1),
  tenants: fc.constantFrom(['all'], ['a'], ['a', 'b']),
  partialSeries: fc.boolean(),
});

for (const [kind, queries] of [
  ['log', logQuery],
  ['metric', metricQuery],
] as const) {
  test(`${kind} queries in parts have the answer of the whole`, async () => {
    await fc.assert(
      fc.asyncProperty(queries, arbitraryRows, asked, situation, async (query, rows, params, where) => {
        stored = rows;
        limits = {
          split_queries_by_interval: where.split,
          max_query_parallelism: where.parallelism,
          max_query_series: where.maxSeries,
          max_query_bytes_read: 2000,
        };
        const context: QueryContext = {
          tenants: { ids: where.tenants, federated: where.tenants.length > 1 },
          signal: new AbortController().signal,
          partialSeries: where.partialSeries,
        };
        const whole = await outcome(direct, { ...params, query }, context);
        const inParts = await outcome(front.frontend, { ...params, query }, context);
        assertSame(inParts, whole);
      }),
      parameters,
    );
  });
}

type Outcome = { readonly answer: QueryAnswer } | { readonly code: unknown; readonly message: string };

async function outcome(
  queries: { range(params: RangeParams, context: QueryContext): Promise<QueryAnswer> },
  params: RangeParams,
  context: QueryContext,
): Promise<Outcome> {
  try {
    return { answer: await queries.range(params, context) };
  } catch (error: unknown) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return { code: error.code, message: error.message };
  }
}

function assertSame(actual: Outcome, expected: Outcome): void {
  if (!('answer' in actual) || !('answer' in expected)) {
    assert.deepEqual(actual, expected);
    return;
  }
  const [a, b] = [body(actual.answer), body(expected.answer)];
  if (a === b || actual.answer.kind === 'streams') {
    assert.equal(a, b);
    return;
  }
  // Sums of fractions are added up in another order: the last digits may differ.
  assert.deepEqual(actual.answer.warnings, expected.answer.warnings);
  assert.deepEqual(roundedSeries(actual.answer), roundedSeries(expected.answer));
}

function body(answer: QueryAnswer): string {
  const { body: text } = renderAnswer(answer, ['categorize-labels']);
  assert.ok(typeof text === 'string');
  return text.replace(/,"stats":\{.*$/s, '');
}

function roundedSeries(answer: QueryAnswer) {
  assert.ok(answer.kind === 'metric' && answer.result.kind === 'matrix');
  const rounded = ({ labels, values, present }: Series) => [
    labels,
    Array.from(present, (there, i) => (there ? Number(values[i]!.toPrecision(9)) : null)),
  ];
  return answer.result.matrix.series.map(rounded);
}
