import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Head } from './head.ts';
import { HeadMemory } from './head-memory.ts';
import { type BlockEncoder, Ingester } from './index.ts';
import {
  ALL_TIME,
  batchOf,
  encoderOf,
  FakeClock,
  headRows,
  ingesterOptions,
  jsonEncoder,
  MemorySink,
  type TestRow,
  until,
} from './testdata/fixture.ts';

const A = '{app="a"}';
const T0 = 1_795_000_000_000_000_000n;

let directory: string;
let sink: MemorySink;
let clock: FakeClock;
let ingester: Ingester;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ingester-'));
  sink = new MemorySink();
  clock = new FakeClock();
});
afterEach(async () => {
  await ingester.stop(0);
  await rm(directory, { recursive: true, force: true });
});

async function start(encoder: BlockEncoder): Promise<void> {
  ingester = new Ingester(ingesterOptions(directory, sink, clock, { options: { encoder } }));
  await ingester.start();
}
const push = (rows: readonly TestRow[], labels = A) => ingester.push(batchOf('t', { labels, rows }));

describe('memory of heads in an ingester', () => {
  it('gives no memory back that an encoder reads for an attempt that another head ended', async () => {
    const slow = Promise.withResolvers<void>();
    const days = 10n ** 9n * 86_400n;
    let attempts = 0;
    let read: string[] = [];
    const encoder = encoderOf(async (head) => {
      if (++attempts === 1) throw new Error('this worker has no luck');
      if (attempts !== 2) return jsonEncoder.encode(head);
      await slow.promise;
      read = headRows(head);
      return jsonEncoder.encode(head);
    });
    await start(encoder);
    // Too far apart for one head.
    await push([
      [T0, 'x'.repeat(500)],
      [T0 + 90n * days, 'y'.repeat(500)],
    ]);
    const flushed = ingester.flush();
    await until(() => attempts === 2, 'both heads are encoded');
    for (let i = 0; i < 3; i++) await clock.advance(1_000);
    await push([[T0, 'z'.repeat(500)]], '{app="next"}');
    slow.resolve();
    await until(async () => {
      await clock.advance(1_000);
      return attempts === 4;
    }, 'the next attempt');
    await flushed;
    assert.deepEqual(read, [`${T0 + 90n * days} ${'y'.repeat(500)}`]);
    assert.equal(sink.rows('t').filter((one) => one.startsWith(A)).length, 2);
  });

  it('keeps nothing for a copy that could not be made', async (t) => {
    const gives = t.mock.method(HeadMemory.prototype, 'give');
    await start(jsonEncoder);
    await push([[T0, 'line']]);
    const pieces = t.mock.method(Head.prototype, 'pieces', () => {
      throw new RangeError('Array buffer allocation failed');
    });
    await assert.rejects(ingester.recent({ tenant: 't', matchers: [], ...ALL_TIME }), RangeError);
    pieces.mock.restore();
    await ingester.flush();
    assert.equal(gives.mock.callCount(), 1);
  });
});
