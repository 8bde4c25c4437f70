import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mergePartials, transferablesOf } from '../../logql/aggregate/index.ts';
import { type LogPlan, type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { defaultBlockLimits } from '../block/index.ts';
import type { EncodedBlock, HeadColumns } from '../block/types.ts';
import { silentLogger } from '../host/logger.ts';
import type {
  LogScanResult,
  MetricEvaluationResult,
  MetricFinishResult,
  MetricScanResult,
  ScanMetricRequest,
} from './messages.ts';
import { PoolBlockEncoder } from './pool-block-encoder.ts';
import { groupOverlapping, headRef, memoryRef } from './units.ts';
import { WorkerLostError, WorkerPool } from './worker-pool.ts';

const BASE_NS = 1_795_168_800_000_000_000n;
const SECOND_NS = 1_000_000_000n;
const directory = mkdtempSync(join(tmpdir(), 'loptr-pool-'));
const settings = { objectStore: { kind: 'filesystem' as const, directory } };
let pool: WorkerPool;

before(() => {
  pool = new WorkerPool({ size: 1, settings, logger: silentLogger, strayMs: 20 });
});
after(async () => {
  await pool.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** One row a second: `line <n>`. */
function head(rowCount: number): HeadColumns {
  const lines = Array.from({ length: rowCount }, (_, n) => `line ${n}`);
  let end = 0;
  return {
    rowCount,
    baseNs: BASE_NS,
    offsetsNs: Float64Array.from(lines, (_, n) => n * 1e9),
    lineEnds: Uint32Array.from(lines, (line) => {
      end += line.length;
      return end;
    }),
    bytes: Buffer.from(lines.join('')),
    metaIndexes: new Uint32Array(rowCount),
    metaEnds: new Uint32Array(0),
    metaBytes: new Uint8Array(0),
    ascending: true,
    metadataBytes: 0,
  };
}

const params = {
  startNs: BASE_NS,
  endNs: BASE_NS + 1000n * SECOND_NS,
  stepNs: SECOND_NS,
  intervalNs: 0n,
  limit: 3,
  direction: 'backward' as const,
};
const flag = () => new Int32Array(new SharedArrayBuffer(4));
const encoder = () => new PoolBlockEncoder(pool, defaultBlockLimits);

async function encoded(rowCount: number): Promise<readonly EncodedBlock[]> {
  return encoder().encode(head(rowCount));
}

function metricRequest(plan: MetricPlan, blocks: readonly EncodedBlock[], copies = 1): ScanMetricRequest {
  const units = Array.from({ length: copies }, () => groupOverlapping([['app', 'a']], blocks.map(memoryRef)));
  return {
    kind: 'scan_metric',
    session: 1,
    scans: plan.scans,
    cancel: flag(),
    maxSeries: 0,
    parts: [{ scan: 0, units: units.flat() }],
  };
}

test('a worker encodes a head, and finds the newest lines in the block and in the head alike', async () => {
  const blocks = await encoded(100);
  assert.deepEqual([blocks.length, blocks[0]!.stats.rowCount], [1, 100]);
  const plan = planQuery(parseQuery('{app="a"} |= "7"'), { ...params, instant: false }) as LogPlan;
  for (const ref of [memoryRef(blocks[0]!), headRef(head(100))!]) {
    const { partials, stats } = await pool.run<LogScanResult>({
      kind: 'scan_log',
      session: 7,
      plan,
      cancel: flag(),
      units: groupOverlapping([['app', 'a']], [ref]),
      beyondNs: null,
    });
    assert.deepEqual(partials[0]!.lines, ['line 97', 'line 87', 'line 79']);
    assert.deepEqual(partials[0]!.groups[0]!.stream, [['app', 'a']]);
    assert.equal(stats.recentRows, 100);
  }
});

test('a row that stands in a block and in a head counts once', async () => {
  const blocks = await encoded(50);
  const plan = planQuery(parseQuery('count_over_time({app="a"}[1000s])'), {
    ...params,
    startNs: params.endNs,
    instant: true,
  }) as MetricPlan;
  const units = groupOverlapping([['app', 'a']], [memoryRef(blocks[0]!), headRef(head(60))!]);
  const cancel = flag();
  const request: ScanMetricRequest = {
    kind: 'scan_metric',
    session: 2,
    scans: plan.scans,
    cancel,
    maxSeries: 0,
    parts: [{ scan: 0, units }],
  };
  const { stats } = await pool.run<MetricScanResult>(request);
  const { partials, jobs } = await pool.run<MetricFinishResult>({ kind: 'finish_metric', session: 2 });
  assert.equal(jobs, 1);
  const matrix = mergePartials(plan.scans[0]!, partials[0]!);
  // The row exactly at the start lies outside of (start, end].
  assert.deepEqual([...matrix.series[0]!.values], [59]);
  assert.equal(stats.duplicates, 50);
});

test('a worker evaluates what would hold up the main thread, and errors keep their code', async () => {
  const plan = planQuery(parseQuery('sum(count_over_time({app="a"}[10s]))'), { ...params, instant: false });
  const session = 11;
  const run = async (maxSeries: number) => {
    await pool.run<MetricScanResult>({ ...metricRequest(plan as MetricPlan, await encoded(100)), session });
    const { partials } = await pool.run<MetricFinishResult>({ kind: 'finish_metric', session });
    const transfer = partials.flat().flatMap(transferablesOf);
    const request = { kind: 'evaluate_metric' as const, plan: plan as MetricPlan, partials, maxSeries };
    const evaluated = await pool.run<MetricEvaluationResult>(request, { transfer });
    assert.equal(
      transfer.every((buffer) => buffer.detached),
      true,
    );
    return evaluated;
  };
  const { result } = await run(1);
  assert.ok(result.kind === 'matrix');
  const [series] = result.matrix.series;
  assert.deepEqual([...series!.values.slice(0, 12)], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
  const both = planQuery(parseQuery('count_over_time({app="a"}[10s])'), { ...params, instant: false }) as MetricPlan;
  const partials = await Promise.all(
    ['x', 'y'].map(async (pod) => {
      const request = metricRequest(both, await encoded(10));
      const units = groupOverlapping([['pod', pod]], (await encoded(10)).map(memoryRef));
      await pool.run({ ...request, session, parts: [{ scan: 0, units }] });
      const finished = await pool.run<MetricFinishResult>({ kind: 'finish_metric', session });
      return finished.partials[0] ?? [];
    }),
  );
  await assert.rejects(pool.run({ kind: 'evaluate_metric', plan: both, partials: [partials.flat()], maxSeries: 1 }), {
    code: 'series_limit',
  });
});

test('a scan ends as soon as it has more series than the answer may', async () => {
  const plan = planQuery(parseQuery('count_over_time({app="a"}[10s])'), { ...params, instant: false }) as MetricPlan;
  const request = metricRequest(plan, await encoded(10));
  const unit = request.parts[0]!.units[0]!;
  const units = ['x', 'y', 'z'].map((pod) => ({ ...unit, labels: [['pod', pod]] as const }));
  const scan = (maxSeries: number, session: number) =>
    pool.run<MetricScanResult>({ ...request, session, maxSeries, parts: [{ scan: 0, units }] });
  assert.equal((await scan(3, 21)).stats.recentBlocks, 3);
  await assert.rejects(scan(2, 22), { code: 'series_limit' });
});

test('a cancelled scan ends with its own code', async () => {
  const cancel = flag();
  Atomics.store(cancel, 0, 1);
  const plan = planQuery(parseQuery('rate({app="a"}[1s])'), { ...params, instant: false }) as MetricPlan;
  await assert.rejects(pool.run({ ...metricRequest(plan, await encoded(10)), session: 3, cancel }), {
    code: 'scan_cancelled',
  });
});

test('who lends memory hears when no worker is at a job any more, also when it never began', async () => {
  const left: string[] = [];
  const plan = planQuery(parseQuery('rate({app="a"}[1s])'), { ...params, instant: false }) as MetricPlan;
  const request = metricRequest(plan, await encoded(10));
  await pool.run({ ...request, session: 4 }, { onLeft: () => left.push('done') });
  assert.deepEqual(left, ['done']);
  const given = new AbortController();
  const waiting = Array.from({ length: 4 }, (_, i) =>
    pool.run(
      { ...request, session: 5 + i },
      { worker: 0, signal: given.signal, onLeft: () => left.push(`waiting ${i}`) },
    ),
  );
  given.abort(new Error('given up'));
  await Promise.all(waiting.map((one) => assert.rejects(one, { message: 'given up' })));
  assert.deepEqual(left, ['done', 'waiting 2', 'waiting 3'], 'two are with the worker');
  const refused = pool.run(request, { signal: given.signal, onLeft: () => left.push('refused') });
  await assert.rejects(refused, { message: 'given up' });
  const unknown = await pool.run<MetricFinishResult>({ kind: 'finish_metric', session: 99 }, { worker: 0 });
  assert.deepEqual(unknown, { partials: [], jobs: 0 });
  assert.deepEqual(left.sort(), ['done', 'refused', 'waiting 0', 'waiting 1', 'waiting 2', 'waiting 3']);
});

test('nobody loses a worker to work behind his own that was given up', async () => {
  const plan = planQuery(parseQuery('sum(rate({app="a"} |~ "line .*9" [1s]))'), { ...params, instant: false });
  const blocks = await encoded(16_000);
  const other = new WorkerPool({ size: 1, settings, logger: silentLogger, strayMs: 150 });
  try {
    await other.run({ kind: 'finish_metric', session: 39 }); // it has begun
    const own = other.run<MetricScanResult>({ ...metricRequest(plan as MetricPlan, blocks, 400), session: 40 });
    const client = new AbortController();
    const cancel = flag();
    const left = Promise.withResolvers<void>();
    const given = other.run(
      { ...metricRequest(plan as MetricPlan, blocks), session: 41, cancel },
      { signal: client.signal, onLeft: left.resolve },
    );
    Atomics.store(cancel, 0, 1);
    client.abort(new Error('given up'));
    await assert.rejects(given, { message: 'given up' });
    assert.equal((await own).stats.recentBlocks, 400);
    await left.promise;
    assert.equal(other.replaced, 0);
  } finally {
    await other.stop();
  }
});

test('work that is given up rejects at once, and a worker that stays at it is replaced', async () => {
  const plan = planQuery(parseQuery('sum(rate({app="a"} |~ "line .*9" [1s]))'), { ...params, instant: false });
  const blocks = await encoded(16_000);
  const request = metricRequest(plan as MetricPlan, blocks, 3000);
  const replaced = pool.replaced;
  const signal = AbortSignal.timeout(50);
  const left: string[] = [];
  const given = pool.run(request, { signal, onLeft: () => left.push('given') });
  const behind = pool.run(metricRequest(plan as MetricPlan, blocks), { onLeft: () => left.push('behind') });
  await assert.rejects(given, { name: 'TimeoutError' });
  assert.deepEqual(left, [], 'the worker is still at it');
  await assert.rejects(behind, WorkerLostError);
  assert.deepEqual(left.sort(), ['behind', 'given']);
  assert.equal(pool.replaced, replaced + 1);
  assert.equal((await encoded(5)).length, 1);
});

test('blocks are encoded by the first worker until many wait', async () => {
  const two = new WorkerPool({ size: 2, settings, logger: silentLogger });
  try {
    const encode = () => two.run({ kind: 'encode', heads: [head(10)], limits: defaultBlockLimits });
    const jobs = [encode(), encode(), encode(), encode(), encode()];
    assert.deepEqual(two.inFlight, [2, 0]);
    jobs.push(encode());
    assert.deepEqual(two.inFlight, [2, 1]);
    await Promise.all(jobs);
    assert.deepEqual(two.inFlight, [0, 0]);
  } finally {
    await two.stop();
  }
});

test('blocks are not encoded behind a query while another worker is there', async () => {
  const plan = planQuery(parseQuery('sum(rate({app="a"} |~ "line .*9" [1s]))'), { ...params, instant: false });
  const two = new WorkerPool({ size: 2, settings, logger: silentLogger });
  try {
    const cancel = flag();
    const request = { ...metricRequest(plan as MetricPlan, await encoded(16_000), 3000), cancel };
    const long = assert.rejects(two.run(request), { code: 'scan_cancelled' });
    assert.deepEqual(two.inFlight, [1, 0]);
    const encode = () => two.run({ kind: 'encode', heads: [head(10)], limits: defaultBlockLimits });
    const few = [encode(), encode(), encode()];
    assert.deepEqual([two.inFlight, two.queued], [[1, 2], 1]);
    await Promise.all(few);
    assert.deepEqual(two.inFlight, [1, 0]);
    Atomics.store(cancel, 0, 1);
    await long;
  } finally {
    await two.stop();
  }
});

test('a thread is there from the first work for it on, all of them from the first query on', async () => {
  const two = new WorkerPool({ size: 2, settings, logger: silentLogger });
  try {
    two.broadcast({ kind: 'close', session: 1 });
    assert.equal(two.threads, 0);
    await two.run({ kind: 'encode', heads: [head(10)], limits: defaultBlockLimits });
    assert.equal(two.threads, 1);
    const unknown = two.run<MetricFinishResult>({ kind: 'finish_metric', session: 1 });
    assert.equal(two.threads, 2, 'all start at once');
    assert.deepEqual(await unknown, { partials: [], jobs: 0 });
    const second = await two.run<MetricFinishResult>({ kind: 'finish_metric', session: 1 }, { worker: 1 });
    assert.deepEqual(second, { partials: [], jobs: 0 });
  } finally {
    await two.stop();
  }
  two.startAll();
  assert.equal(two.threads, 2, 'those that have ended');
});

test('all threads start when they are told to, and the one that was there is kept', async () => {
  const two = new WorkerPool({ size: 2, settings, logger: silentLogger });
  try {
    await two.run({ kind: 'encode', heads: [head(10)], limits: defaultBlockLimits });
    two.startAll();
    assert.equal(two.threads, 2);
    const encode = () => two.run({ kind: 'encode', heads: [head(10)], limits: defaultBlockLimits });
    await Promise.all([encode(), two.run({ kind: 'finish_metric', session: 1 }, { worker: 1 })]);
    assert.deepEqual([two.threads, two.replaced], [2, 0]);
  } finally {
    await two.stop();
  }
});

test('a job for one worker starts it where it has not begun, and one that died is replaced before others ask', async () => {
  const plan = planQuery(parseQuery('sum(rate({app="a"} |~ "line .*9" [1s]))'), { ...params, instant: false });
  const two = new WorkerPool({ size: 2, settings, logger: silentLogger, strayMs: 20 });
  try {
    const request = metricRequest(plan as MetricPlan, await encoded(16_000), 3000);
    const left = Promise.withResolvers<void>();
    const given = two.run(request, { worker: 1, signal: AbortSignal.timeout(50), onLeft: left.resolve });
    await assert.rejects(given, { name: 'TimeoutError' });
    await left.promise;
    assert.deepEqual([two.threads, two.replaced], [1, 1]);
    const next = await two.run<MetricFinishResult>({ kind: 'finish_metric', session: 1 }, { worker: 1 });
    assert.deepEqual([next.jobs, two.threads], [0, 2]);
  } finally {
    await two.stop();
  }
});

test('who lends memory hears that no worker is at a job also where no thread can be started', async () => {
  const unsendable = { objectStore: { kind: 'filesystem', directory: () => '' } } as unknown as typeof settings;
  const none = new WorkerPool({ size: 2, settings: unsendable, logger: silentLogger });
  const left: string[] = [];
  const encode = { kind: 'encode' as const, heads: [head(10)], limits: defaultBlockLimits };
  await assert.rejects(none.run(encode, { onLeft: () => left.push('encode') }), /cannot be sent/);
  const finish = { kind: 'finish_metric' as const, session: 1 };
  await assert.rejects(none.run(finish, { onLeft: () => left.push('read') }), /cannot be started/);
  assert.deepEqual([left, none.queued, none.threads], [['encode', 'read'], 0, 0]);
  await none.stop();
});
