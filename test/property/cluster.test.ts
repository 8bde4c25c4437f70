import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { streamRank } from '../../logql/label-hash.ts';
import { labelsKey } from '../../logql/labels.ts';
import { alignRange, evaluationTimes } from '../../logql/plan/index.ts';
import { checkStages } from '../../logql/stages/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { QueryContext } from '../../services/querier/querier.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';
import { evaluateLogQuery, withoutRepetitions } from '../reference/log-query.ts';
import { evaluateMetricQuery, ReferencePipelineError } from '../reference/metric-query.ts';
import type { ReferenceRow } from '../reference/row.ts';
import { UnspecifiedError } from '../reference/stages.ts';
import { ReferenceMatchingError } from '../reference/vectors.ts';
import { logQuery, metricQuery } from './arbitrary-query.ts';
import { ORIGIN_NS, rows, SPAN_SECONDS } from './arbitrary-rows.ts';
import { type Fault, ModelCluster } from './cluster-model.ts';
import { assertSameOutcome, entryText, type Outcome, outcomeOf } from './compare.ts';

/*
 * Whatever replicas have which rows, however they cut and store them, and whatever a compactor does meanwhile: every
 * acknowledged row is found once, and none that was deleted. LOPTR_FUZZ_RUNS and LOPTR_FUZZ_SEED as in evaluation.test.ts.
 */

const numRuns = Number(process.env['LOPTR_FUZZ_RUNS'] ?? 25);
const seed = process.env['LOPTR_FUZZ_SEED'];

const directory = await mkdtemp(join(tmpdir(), 'loptr-cluster-'));
const objectStore = { kind: 'filesystem' as const, directory };
const store = new FilesystemStore(objectStore);
const pool = new WorkerPool({ size: 1, settings: { objectStore }, logger: silentLogger });
after(async () => {
  await pool.stop();
  await rm(directory, { recursive: true });
});

type Step =
  | { readonly kind: 'push'; readonly missing: number; readonly again: boolean }
  | { readonly kind: 'cut' | 'store' | 'publish' | 'flush'; readonly which: number }
  | { readonly kind: 'list' | 'notes' | 'load' | 'remove' | 'carry_out' }
  | { readonly kind: 'compact'; readonly from: number; readonly count: number }
  | { readonly kind: 'delete'; readonly selector: string; readonly second: number };

/** One ingester, or all. */
const which = fc.nat({ max: 7 });
const background: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('cut' as const, 'store' as const, 'publish' as const, 'flush' as const), which }),
  fc.constantFrom<Step>(
    { kind: 'list' },
    { kind: 'notes' },
    { kind: 'load' },
    { kind: 'remove' },
    { kind: 'carry_out' },
  ),
  fc.record({ kind: fc.constant('compact' as const), from: fc.nat({ max: 9 }), count: fc.integer({ min: 2, max: 5 }) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('push' as const), missing: fc.nat({ max: 3 }), again: fc.boolean() }),
  },
  { weight: 6, arbitrary: background },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('delete' as const),
      selector: fc.constantFrom('{app="a"}', '{app=~"a|b"}', '{app="b",env="x"}'),
      second: fc.nat({ max: SPAN_SECONDS }),
    }),
  },
);
const question = fc.record({
  log: logQuery,
  metric: metricQuery,
  forward: fc.boolean(),
  limit: fc.constantFrom(1, 3, 10, 100),
  startSecond: fc.integer({ min: -2, max: SPAN_SECONDS }),
  lengthSeconds: fc.integer({ min: 1, max: SPAN_SECONDS + 2 }),
  stepSeconds: fc.constantFrom(1, 3, 7),
  fault: fc.option(fc.constantFrom<Fault>('fails', 'hangs', 'unhealthy')),
  broken: fc.nat({ max: 3 }),
  /** What happens between the ingesters' answers and the question to the catalog. */
  between: fc.array(background, { maxLength: 4 }),
});
const rounds = fc.array(fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 16 }), question }), {
  minLength: 1,
  maxLength: 4,
});

let tenants = 0;
const second = 1_000_000_000n;

test('acknowledged rows are found once, and deleted ones never', async () => {
  await fc.assert(
    fc.asyncProperty(rows, rounds, fc.constantFrom(3, 4), fc.nat(), async (given, plan, count, random) => {
      const cluster = new ModelCluster(`t${tenants++}`, store, pool, count, random);
      const run = new Run(cluster, given);
      for (const { steps, question: asked } of plan) {
        for (const one of steps) await run.step(one);
        await run.ask(asked);
      }
      for await (const { key } of store.list('')) await store.delete(key);
    }),
    { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  );
});

type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

class Run {
  readonly #cluster: ModelCluster;
  /** Not yet pushed. The times of a stream differ: replicas may disagree on the order of rows of one time. */
  readonly #toPush: ReferenceRow[];
  readonly #deleted: ((row: ReferenceRow) => boolean)[] = [];
  #rows: ReferenceRow[] = [];

  constructor(cluster: ModelCluster, given: readonly ReferenceRow[]) {
    this.#cluster = cluster;
    this.#toPush = given.map((row, i) => ({ ...row, timestampNs: row.timestampNs + BigInt(i) * 1000n })).reverse();
  }

  async step(one: Step): Promise<void> {
    const cluster = this.#cluster;
    switch (one.kind) {
      case 'push': {
        const row = one.again && this.#rows.length > 0 ? this.#rows.at(-1) : this.#toPush.pop();
        // A request hides rows that come later only until it is carried out.
        if (row === undefined || this.#deleted.some((isDeleted) => isDeleted(row))) return;
        cluster.push(row, one.missing);
        this.#rows.push(row);
        return;
      }
      case 'cut':
        return cluster.cut(one.which);
      case 'store':
        return cluster.store(one.which);
      case 'publish':
        return cluster.publish(one.which);
      case 'flush':
        await cluster.store(one.which);
        return cluster.publish(one.which);
      case 'list':
      case 'notes':
        return cluster.refresh(one.kind === 'list');
      case 'load':
        return cluster.loadDeletes();
      case 'remove':
        return cluster.removeReplaced();
      case 'carry_out':
        return cluster.carryOutDeletes();
      case 'compact':
        return cluster.compact(one.from, one.count);
      case 'delete': {
        const startNs = ORIGIN_NS + BigInt(one.second) * second;
        const isDeleted = await cluster.requestDelete(one.selector, startNs, startNs + 4n * second);
        this.#deleted.push(isDeleted);
        this.#rows = this.#rows.filter((row) => !isDeleted(row));
        return;
      }
      default:
        one satisfies never;
    }
  }

  async ask(asked: Question): Promise<void> {
    const startNs = ORIGIN_NS + BigInt(asked.startSecond) * second;
    const endNs = startNs + BigInt(asked.lengthSeconds) * second;
    await this.#askLog(asked, startNs, endNs);
    await this.#askMetric(asked, startNs, endNs);
    await this.#askSizes(asked, startNs, endNs);
  }

  async #askLog(asked: Question, startNs: bigint, endNs: bigint): Promise<void> {
    const { log: query, limit, forward } = asked;
    const params = { startNs, endNs, limit, direction: forward ? ('forward' as const) : ('backward' as const) };
    const expr = parseQuery(query);
    assert.equal(expr.kind, 'log');
    const expected = outcomeOfReference(() => ({
      kind: 'entries',
      entries: evaluateLogQuery(expr as never, this.#rows, {
        ...params,
        intervalNs: 0n,
        periodNs: 0n,
        rank: streamRank,
      }).map((entry) => entryText(entry.timestampNs, entry.line, entry)),
    }));
    const answer = await this.#outcome(asked, async (context) => {
      const found = await this.#cluster.querier.range({ query, ...params, stepNs: second, intervalNs: 0n }, context);
      assert.equal(found.kind, 'streams');
      assert.deepEqual(found.warnings, []);
      return {
        kind: 'entries',
        entries: found.entries.map(({ timestampNs, line, group }) => entryText(timestampNs, line, group)),
      };
    });
    if (expected !== null) assertSameOutcome(answer, expected, { valuesOnly: false });
  }

  async #askMetric(asked: Question, from: bigint, to: bigint): Promise<void> {
    const { metric: query, stepSeconds } = asked;
    const stepNs = BigInt(stepSeconds) * second;
    const { startNs, endNs } = alignRange(from, to, stepNs);
    const common = { startNs, endNs, stepNs, limit: 100, direction: 'backward' as const, intervalNs: 0n };
    const expr = parseQuery(query);
    checkStages(expr);
    const expected = outcomeOfReference(() => ({
      kind: 'steps',
      steps: evaluateMetricQuery(expr as never, this.#rows, evaluationTimes({ ...common, instant: false })),
    }));
    const answer = await this.#outcome(asked, async (context) => {
      const found = await this.#cluster.querier.range({ query, ...common }, context);
      assert.ok(found.kind === 'metric');
      assert.deepEqual(found.warnings, []);
      return outcomeOf(found.result);
    });
    const valuesOnly = /^(topk|bottomk)/.test(query);
    if (expected !== null) assertSameOutcome(answer, expected, { valuesOnly });
  }

  async #askSizes(asked: Question, startNs: bigint, endNs: bigint): Promise<void> {
    const matchers = [{ kind: 'matcher' as const, name: 'app', op: '=~' as const, value: '.+' }];
    const stats = await this.#faulty(asked, (context) =>
      this.#cluster.sizes.indexStats({ startNs, endNs }, matchers, context),
    );
    const inTime = withoutRepetitions(this.#rows).filter(
      (row) => row.timestampNs >= startNs && row.timestampNs <= endNs,
    );
    const streams = new Set(inTime.map(({ stream }) => labelsKey(stream)));
    assert.deepEqual([stats.entries, stats.streams], [inTime.length, streams.size]);
    const series = await this.#faulty(asked, ({ tenants: ids }) =>
      this.#cluster.metadata.series(ids, { startNs, endNs }, [matchers]),
    );
    // Blocks answer this by the time that they span, so there may be more.
    const found = new Set(series.map(labelsKey));
    assert.ok(streams.isSubsetOf(found), `${[...streams]} of ${[...found]}`);
  }

  async #outcome(asked: Question, run: (context: QueryContext) => Promise<Outcome>): Promise<Outcome> {
    try {
      return await this.#faulty(asked, run);
    } catch (error: unknown) {
      // Some come from worker threads: their class is lost on the way.
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code !== 'pipeline_error' && code !== 'matching_error') throw error;
      return { kind: 'error', code };
    }
  }

  /** With one ingester in trouble, and things that happen in the midst of it. */
  async #faulty<T>({ fault, broken, between }: Question, run: (context: QueryContext) => Promise<T>): Promise<T> {
    const cluster = this.#cluster;
    const victim = cluster.ingesters[broken % cluster.ingesters.length]!;
    victim.fault = fault;
    cluster.between = async () => {
      for (const one of between) await this.step(one);
    };
    try {
      return await run({
        tenants: { ids: [cluster.tenant], federated: false },
        signal: new AbortController().signal,
        partialSeries: false,
      });
    } finally {
      victim.fault = null;
      cluster.between = null;
    }
  }
}

/** Null where the language leaves the answer open. */
function outcomeOfReference(evaluate: () => Outcome): Outcome | null {
  try {
    return evaluate();
  } catch (error: unknown) {
    if (error instanceof UnspecifiedError) return null;
    if (error instanceof ReferencePipelineError) return { kind: 'error', code: 'pipeline_error' };
    if (error instanceof ReferenceMatchingError) return { kind: 'error', code: 'matching_error' };
    throw error;
  }
}
