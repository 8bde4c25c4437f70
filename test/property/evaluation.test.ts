import { test } from 'node:test';
import fc from 'fast-check';
import { MatchingError, PipelineError } from '../../logql/aggregate/index.ts';
import { evaluationTimes, type PlanParams } from '../../logql/plan/index.ts';
import { checkStages } from '../../logql/stages/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { evaluateLogQuery } from '../reference/log-query.ts';
import { evaluateMetricQuery, ReferencePipelineError } from '../reference/metric-query.ts';
import type { ReferenceRow } from '../reference/row.ts';
import { UnspecifiedError } from '../reference/stages.ts';
import { ReferenceMatchingError } from '../reference/vectors.ts';
import { logQuery, metricQuery } from './arbitrary-query.ts';
import { copiedRows, ORIGIN_NS, rows, SPAN_SECONDS } from './arbitrary-rows.ts';
import { assertSameOutcome, entryText, type Outcome, outcomeOf } from './compare.ts';
import { type Engine, inMemory, throughBlocks } from './engines.ts';

/*
 * The engine in columns agrees with the evaluator that goes row by row (test/reference), on generated rows and queries.
 * LOPTR_FUZZ_RUNS=20000 for more of them, LOPTR_FUZZ_SEED for a certain run; a failure prints its seed and its path.
 */

const numRuns = Number(process.env['LOPTR_FUZZ_RUNS'] ?? 250);
const seed = process.env['LOPTR_FUZZ_SEED'];
const parameters = { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) };

const second = 1_000_000_000n;
const moment = fc
  .integer({ min: -2, max: SPAN_SECONDS * 2 + 4 })
  .map((half) => ORIGIN_NS + (BigInt(half) * second) / 2n);
/** How rows are cut into blocks and blocks shared among workers. */
const cuts = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 4 });

const logParams: fc.Arbitrary<PlanParams> = fc
  .record({
    ends: fc.tuple(moment, moment),
    limit: fc.constantFrom(1, 2, 5, 30, 100),
    direction: fc.constantFrom('forward' as const, 'backward' as const),
    intervalNs: fc.constantFrom(0n, 0n, 0n, second, 2n * second + 1n),
    logSplitNs: fc.constantFrom(0n, 5n * second, 3600n * second),
  })
  .map(({ ends, ...rest }) => ({ ...rest, ...ordered(ends), stepNs: 0n, instant: false }));

const metricParams: fc.Arbitrary<PlanParams> = fc
  .record({
    ends: fc.tuple(moment, moment),
    stepNs: fc.constantFrom(second / 2n, second, 3n * second, 7n * second),
    instant: fc.boolean(),
  })
  .map(({ ends, stepNs, instant }) => {
    const { startNs, endNs } = ordered(ends);
    const common = { stepNs, instant, intervalNs: 0n, limit: 100, direction: 'backward' as const };
    return { ...common, startNs: instant ? endNs : startNs, endNs };
  });

function ordered([a, b]: readonly [bigint, bigint]): { startNs: bigint; endNs: bigint } {
  return a < b ? { startNs: a, endNs: b } : { startNs: b, endNs: a };
}

for (const engine of [inMemory, throughBlocks]) {
  test(`log queries: ${engine.name} agrees with the evaluator of rows`, async () => {
    await fc.assert(
      fc.asyncProperty(logQuery, rows, logParams, cuts, (query, stored, params, cut) =>
        agrees(engine, query, stored, params, cut),
      ),
      parameters,
    );
  });

  test(`metric queries: ${engine.name} agrees with the evaluator of rows`, async () => {
    await fc.assert(
      fc.asyncProperty(metricQuery, rows, metricParams, cuts, (query, stored, params, cut) =>
        agrees(engine, query, stored, params, cut),
      ),
      parameters,
    );
  });
}

test('log queries: copies of rows in chains of blocks that are opened apart count once, in their order', async () => {
  await fc.assert(
    fc.asyncProperty(logQuery, copiedRows, logParams, cuts, (query, stored, params, cut) =>
      agrees(throughBlocks, query, stored, params, cut),
    ),
    parameters,
  );
});

test('metric queries: copies of rows in chains of blocks that are opened apart count once', async () => {
  await fc.assert(
    fc.asyncProperty(metricQuery, copiedRows, metricParams, cuts, (query, stored, params, cut) =>
      agrees(throughBlocks, query, stored, params, cut),
    ),
    parameters,
  );
});

async function agrees(
  engine: Engine,
  query: string,
  stored: readonly ReferenceRow[],
  params: PlanParams,
  cut: readonly number[],
): Promise<void> {
  const expr = parseQuery(query);
  checkStages(expr);
  const expected = referenceOutcome(query, stored, params, (stream) => engine.rank(stream, stored));
  fc.pre(expected !== null);
  let actual: Outcome;
  try {
    actual = outcomeOf(await engine.answer(expr, params, stored, cut));
  } catch (error: unknown) {
    if (!(error instanceof PipelineError || error instanceof MatchingError)) throw error;
    actual = { kind: 'error', code: error.code };
  }
  assertSameOutcome(actual, expected, { valuesOnly: /^(topk|bottomk)/.test(query) });
}

/** Null where the language leaves the answer open. */
function referenceOutcome(
  query: string,
  stored: readonly ReferenceRow[],
  params: PlanParams,
  rank: (stream: ReferenceRow['stream']) => number,
): Outcome | null {
  const expr = parseQuery(query);
  try {
    if (expr.kind === 'log') {
      const entries = evaluateLogQuery(expr, stored, { ...params, periodNs: params.logSplitNs ?? 0n, rank });
      return {
        kind: 'entries',
        entries: entries.map((entry) => entryText(entry.timestampNs, entry.line, entry)),
      };
    }
    return { kind: 'steps', steps: evaluateMetricQuery(expr, stored, evaluationTimes(params)) };
  } catch (error: unknown) {
    if (error instanceof UnspecifiedError) return null;
    if (error instanceof ReferencePipelineError) return { kind: 'error', code: 'pipeline_error' };
    if (error instanceof ReferenceMatchingError) return { kind: 'error', code: 'matching_error' };
    throw error;
  }
}
