/** Whether the object store holds each line of a load, read from its segments and not through a query. */
import assert from 'node:assert/strict';
import { startOver, TestClock } from '../../services/compactor/testing/setup.ts';
import { openBlock } from '../../storage/block/index.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { activePrefix, SegmentCatalog } from '../../storage/index/index.ts';
import type { ObjectStore } from '../../storage/objectstore/index.ts';
import { SegmentReader, segmentPrefix } from '../../storage/segment/index.ts';
import { type Batch, lineOf, timestampOf } from '../crash/writer.ts';

export interface WrittenLines {
  readonly baseNs: bigint;
  /** What was acknowledged, of all rounds; nothing else may be stored. */
  readonly batches: readonly Batch[];
}

export interface StoredFigures {
  readonly lines: number;
  /** How often a line lay in the store before the compactor's last runs; 3 at most with three replicas, but for retries. */
  readonly copiesBefore: number;
  readonly segmentsBefore: number;
  readonly segmentsAfter: number;
}

const DAY_MS = 86_400_000;
/** Longer than replaced segments stay. */
const BETWEEN_RUNS_MS = 4 * 3_600_000;
const MAX_RUNS = 12;
const LINE = /^round=(\d+) client=(\d+) line=(\d+) /;

/**
 * To be called once all processes have ended and stored what they had. What is visible must hold every line; and after
 * the compactor's work of some days, done here by a clock that jumps, so that nobody has to wait for them, the bucket
 * holds each exactly once. Throws AssertionError.
 */
export async function checkStored(store: ObjectStore, written: WrittenLines): Promise<StoredFigures> {
  const catalog = new SegmentCatalog(store, silentLogger);
  await catalog.load();
  const visible = catalog.tenants().flatMap((tenant) => catalog.segments(tenant).map(({ key }) => key));
  const before = await CopyCounts.of(store, visible, written);
  before.assertEach('of the visible segments', (copies) => copies > 0);

  const clock = new TestClock(Date.now() + 3 * DAY_MS);
  const { compactor } = await startOver(store, clock);
  for (let runs = 0; ; runs++) {
    assert.ok(runs < MAX_RUNS, `the compactor does not come to an end in ${MAX_RUNS} runs`);
    const keys = await keysBelow(store, segmentPrefix());
    await compactor.run();
    clock.ms += BETWEEN_RUNS_MS;
    const isQuiet = (await keysBelow(store, activePrefix())).length === 0;
    if (isQuiet && runs > 0 && keys.join() === (await keysBelow(store, segmentPrefix())).join()) break;
  }
  const left = await keysBelow(store, segmentPrefix());
  const after = await CopyCounts.of(store, left, written);
  after.assertEach('of all segments after compaction', (copies) => copies === 1);
  return {
    lines: after.lines,
    copiesBefore: before.copies / Math.max(1, before.lines),
    segmentsBefore: visible.length,
    segmentsAfter: left.length,
  };
}

async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys.sort();
}

/** By round and client, how often each line was met. */
class CopyCounts {
  readonly #baseNs: bigint;
  readonly #expected: ReadonlyMap<string, Uint8Array>;
  readonly #met: Map<string, Uint32Array>;
  copies = 0;

  /** Reads all rows of the segments. Throws AssertionError for a line that nobody wrote, or not at that time. */
  static async of(store: ObjectStore, keys: readonly string[], written: WrittenLines): Promise<CopyCounts> {
    const counts = new CopyCounts(written);
    for (const key of keys) await counts.#read(store, key);
    return counts;
  }

  private constructor({ baseNs, batches }: WrittenLines) {
    this.#baseNs = baseNs;
    const expected = new Map<string, Uint8Array>();
    for (const [name, own] of Map.groupBy(batches, ({ round, client }) => `${round} ${client}`)) {
      const isWritten = new Uint8Array(Math.max(...own.map(({ to }) => to)));
      for (const { from, to } of own) isWritten.fill(1, from, to);
      expected.set(name, isWritten);
    }
    this.#expected = expected;
    this.#met = new Map([...expected].map(([name, { length }]) => [name, new Uint32Array(length)]));
  }

  /** Lines that were written. */
  get lines(): number {
    let lines = 0;
    for (const isWritten of this.#expected.values()) for (const one of isWritten) lines += one;
    return lines;
  }

  assertEach(where: string, isRight: (copies: number) => boolean): void {
    const wrong: string[] = [];
    let count = 0;
    for (const [name, isWritten] of this.#expected) {
      const met = this.#met.get(name)!;
      isWritten.forEach((one, line) => {
        if (one === 0 || isRight(met[line]!)) return;
        count++;
        if (wrong.length < 5) wrong.push(`round and client ${name}, line ${line}: ${met[line]} copies`);
      });
    }
    assert.equal(count, 0, `${where}: ${count} lines are missing or doubled, among them ${wrong.join('; ')}`);
  }

  async #read(store: ObjectStore, key: string): Promise<void> {
    const { footer } = await SegmentReader.open(store, key);
    const object = await store.get(key);
    for (let series = 0; series < footer.seriesCount; series++) {
      for (const { offset, length } of footer.blocksOf(series, -(2n ** 63n), 2n ** 63n - 1n)) {
        const block = openBlock(object.subarray(offset, offset + length));
        const { rowCount, baseNs, offsetsNs, bytes, lineStarts } = block.columns({ lines: true, metadata: null });
        for (let row = 0; row < rowCount; row++) {
          const line = bytes!.toString('utf8', lineStarts[row], lineStarts[row + 1]);
          this.#meet(line, baseNs + BigInt(offsetsNs[row]!), key);
        }
      }
    }
  }

  #meet(line: string, timeNs: bigint, key: string): void {
    const [, round, client, number] = LINE.exec(line) ?? [];
    const n = Number(number);
    const batch: Batch = { round: Number(round), client: Number(client), from: n, to: n + 1 };
    const name = `${round} ${client}`;
    const isKnown = this.#expected.get(name)?.[n] === 1 && line === lineOf(batch, n);
    assert.ok(isKnown && timeNs === timestampOf(this.#baseNs, batch, n), `nobody wrote this line of ${key}: ${line}`);
    this.#met.get(name)![n]!++;
    this.copies++;
  }
}
