import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { type Labels, labelsKey, sortLabels } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import { compileRegex } from '../../logql/regex/index.ts';
import type { Matcher, MatchOp } from '../../logql/syntax/ast.ts';
import { defaultBlockLimits, encodeBlocks } from '../block/index.ts';
import { headOf } from '../block/testing/heads.ts';
import { compileFilterTest } from '../filter/index.ts';
import { type LogFields, type Logger, silentLogger } from '../host/logger.ts';
import { FilesystemStore, type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import { parseSegmentKey, type SegmentSeries, writeSegment } from '../segment/index.ts';
import { SegmentCatalog } from './index.ts';

const root = await mkdtemp(join(tmpdir(), 'loptr-catalog-'));
after(() => rm(root, { recursive: true }));
let stores = 0;

const ever = { startNs: -(2n ** 62n), endNs: 2n ** 62n };
const match = (name: string, op: MatchOp, value: string): Matcher => ({ kind: 'matcher', name, op, value });

function freshStore(): ObjectStore {
  return new FilesystemStore({ kind: 'filesystem', directory: join(root, String(stores++)) });
}

/** One block of rows at the given times. */
function series(labels: Record<string, string>, ...times: bigint[]): SegmentSeries {
  const rows = times.map((ns) => ({ ns, line: `line at ${ns}` }));
  return { labels: sortLabels(Object.entries(labels)), blocks: encodeBlocks(headOf(rows)) };
}

let now = 1_700_000_000_000;
async function store(objects: ObjectStore, tenant: string, ...all: SegmentSeries[]): Promise<string> {
  const { key, pieces } = writeSegment(tenant, all, {
    nowMs: () => now++,
    nowNs: () => 0n,
    sleep: () => Promise.reject(new Error('nobody sleeps here')),
  });
  await objects.put(key, pieces);
  return key;
}

async function loaded(objects: ObjectStore, logger: Logger = silentLogger, maxFooterBytes = 2 ** 24) {
  const catalog = new SegmentCatalog(objects, logger, { maxFooterBytes });
  await catalog.load();
  return catalog;
}

const labelTexts = (found: readonly { labels: Labels }[]): string[] =>
  found.map(({ labels }) => labels.map(([n, v]) => `${n}=${v}`).join(',')).sort();

describe('SegmentCatalog', () => {
  it('finds the streams that a naive reading of the matchers finds', async () => {
    const value = fc.constantFrom('a', 'b', 'ab', 'x\ny', 'ключ');
    const labels = fc.dictionary(fc.constantFrom('app', 'env', 'pod'), value, { minKeys: 1 });
    const matcher = fc.oneof(
      fc.tuple(
        fc.constantFrom('app', 'env', 'pod', 'none'),
        fc.constantFrom('=', '!='),
        fc.oneof(value, fc.constant('')),
      ),
      fc.tuple(
        fc.constantFrom('app', 'env', 'pod', 'none'),
        fc.constantFrom('=~', '!~'),
        fc.constantFrom('', 'a', 'a|b', '.*', '.+', 'x.y', '[^a]*', '(a|)', '.*к.*'),
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(labels, { selector: (l) => labelsKey(sortLabels(Object.entries(l))), minLength: 1 }), {
          minLength: 1,
          maxLength: 3,
        }),
        fc.array(matcher, { maxLength: 3 }),
        async (segments, chosen) => {
          const objects = freshStore();
          for (const one of segments) await store(objects, 't', ...one.map((l) => series(l, 1n, 2n)));
          const matchers = chosen.map(([name, op, text]) => match(name, op as MatchOp, text));
          const expected = new Set<string>();
          for (const l of segments.flat()) {
            const isMatching = matchers.every(({ name, op, value: wanted }) => {
              const text = Object.hasOwn(l, name) ? l[name]! : '';
              if (op === '=' || op === '!=') return (text === wanted) === (op === '=');
              return compileRegex(wanted, { anchored: true, dotAll: true }).test(text) === (op === '=~');
            });
            if (isMatching) expected.add(labelTexts([{ labels: sortLabels(Object.entries(l)) }])[0]!);
          }
          const catalog = await loaded(objects);
          const request = { tenant: 't', matchers, ...ever };
          assert.deepEqual(labelTexts(await catalog.select(request)), [...expected].sort());
          const found = await catalog.series(request);
          assert.deepEqual(labelTexts(found.map((l) => ({ labels: l }))), [...expected].sort());
          assert.deepEqual(
            await catalog.labelNames(request),
            [...new Set(found.flatMap((l) => l.map(([name]) => name)))].sort(),
          );
          assert.deepEqual(
            await catalog.labelValues(request, 'app'),
            [...new Set(found.flatMap((l) => l.filter(([name]) => name === 'app').map(([, v]) => v)))].sort(),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it('joins a stream of several segments, blocks in order of arrival, and leaves out those of other times', async () => {
    const objects = freshStore();
    const late = await store(objects, 't', series({ app: 'a' }, 100n, 200n), series({ app: 'b' }, 5n));
    const early = await store(objects, 't', series({ app: 'a' }, 1n, 50n));
    const catalog = await loaded(objects);
    const request = { tenant: 't', matchers: [match('app', '=~', '.+')] };
    const all = await catalog.select({ ...request, ...ever });
    const a = all.find(({ labels }) => labels[0]![1] === 'a')!;
    assert.deepEqual(
      a.blocks.map((block) => block.segmentKey),
      [late, early],
    );
    const some = await catalog.select({ ...request, startNs: 51n, endNs: 100n });
    assert.deepEqual(
      some.map(({ blocks }) => blocks.map((block) => block.stats.minNs)),
      [[100n]],
    );
    assert.deepEqual(await catalog.labelValues({ ...request, startNs: 5n, endNs: 5n }, 'app'), ['a', 'b']);
    assert.deepEqual(await catalog.labelValues({ ...request, startNs: 51n, endNs: 99n }, 'app'), []);
    assert.deepEqual(await catalog.labelNames({ ...request, startNs: 51n, endNs: 99n }), []);
  });

  it('leaves out the blocks, and no others, that a look at the filter of each leaves out', async () => {
    const hex = (seed: number) => createHash('sha512').update(`${seed}`).digest('hex');
    const blocksOf = (labels: Record<string, string>, from: number): SegmentSeries => {
      const rows = Array.from({ length: 60 }, (_, i) => ({
        ns: BigInt(from + i),
        line: `${hex(from + i)} ${hex(-from - i)} ${i % 7 === 0 ? 'refused' : 'granted'}`,
        metadata: [['trace', `t${Math.floor((from + i) / 10)}`]] as [string, string][],
      }));
      const limits = { ...defaultBlockLimits, maxRows: 5 };
      return { labels: sortLabels(Object.entries(labels)), blocks: encodeBlocks(headOf(rows), limits) };
    };
    const objects = freshStore();
    const segments = [0, 1000].map((from) => [
      blocksOf({ app: 'a' }, from),
      blocksOf({ app: 'b', trace: 'of the stream' }, from + 100),
      blocksOf({ app: 'c' }, from + 200),
    ]);
    // One segment in which a label hides the metadata of some streams, and one in which none does.
    await store(objects, 't', ...segments[0]!);
    await store(objects, 't', segments[1]![0]!, segments[1]![2]!);
    const catalog = await loaded(objects);
    const text = (bytes: string): RowCondition => ({ kind: 'text', bytes });
    const trace = (value: string): RowCondition => ({ kind: 'metadata', name: 'trace', value });
    const conditions: RowCondition[] = [
      text('refused'),
      text(hex(1013).slice(20, 40)),
      trace('t21'),
      trace('t101'),
      { kind: 'all', items: [trace('t101'), text('refused')] },
      { kind: 'any', items: [trace('t4'), text(hex(215).slice(0, 30))] },
    ];
    for (const condition of conditions) {
      const test = compileFilterTest(condition)!;
      const expected = [...segments[0]!, segments[1]![0]!, segments[1]![2]!].flatMap(({ labels, blocks }) =>
        blocks.flatMap(({ filter, stats }) => (test(labels, filter) ? [`${labels[0]![1]} ${stats.minNs}`] : [])),
      );
      const found = await catalog.select({ tenant: 't', matchers: [match('app', '=~', '.+')], ...ever, condition });
      const kept = found.flatMap(({ labels, blocks }) => blocks.map((b) => `${labels[0]![1]} ${b.stats.minNs}`));
      assert.deepEqual(kept.sort(), expected.sort());
      assert.ok(kept.length > 0 && kept.length < 60);
    }
    assert.ok(catalog.filterBytes > 0);
  });

  it('sums blocks, by their share of the time where they pass its ends', async () => {
    const objects = freshStore();
    await store(objects, 't', series({ app: 'a' }, 0n, 25n, 50n, 100n), series({ app: 'b' }, 10n));
    const catalog = await loaded(objects);
    const request = { tenant: 't', matchers: [] };
    const bytes = 'line at 0'.length + 3 * 'line at 10'.length + 'line at 100'.length;
    assert.deepEqual(await catalog.figures({ ...request, ...ever }), { streams: 2, blocks: 2, bytes, entries: 5 });
    const half = await catalog.figures({ ...request, startNs: 50n, endNs: 100n });
    assert.deepEqual([half.streams, half.blocks, half.entries], [1, 1, 2]);
  });

  it('keeps tenants apart, whatever they are called', async () => {
    const objects = freshStore();
    const tenants = ['fake', '../fake', 'a/b', 'a\0b', 'ключ', '=x', '.', '..', 'x'.repeat(150), '語'.repeat(150)];
    for (const tenant of tenants) await store(objects, tenant, series({ tenant }, 1n));
    const catalog = await loaded(objects);
    assert.deepEqual(catalog.tenants(), [...tenants].sort());
    for (const tenant of tenants) {
      assert.deepEqual(await catalog.labelValues({ tenant, matchers: [], ...ever }, 'tenant'), [tenant]);
    }
    assert.deepEqual(await catalog.select({ tenant: 'nobody', matchers: [], ...ever }), []);
  });

  it('shows what is added and hides what is removed, also to a listing repeated', async () => {
    const objects = freshStore();
    const writer = await loaded(objects);
    const reader = await loaded(objects);
    const apps = async (catalog: SegmentCatalog) => catalog.labelValues({ tenant: 't', matchers: [], ...ever }, 'app');
    const first = await store(objects, 't', series({ app: 'a' }, 1n));
    writer.add(first);
    writer.add(first);
    assert.equal(writer.segmentCount, 1);
    const second = await store(objects, 't', series({ app: 'b' }, 1n));
    writer.add(second);
    assert.deepEqual(await apps(writer), ['a', 'b']);
    assert.deepEqual(await apps(reader), []);
    await reader.refresh();
    assert.deepEqual(await apps(reader), ['a', 'b']);
    writer.remove(first);
    assert.deepEqual(await apps(writer), ['b']);
    await objects.delete(first);
    await reader.refresh();
    assert.deepEqual(await apps(reader), ['b']);
    writer.remove(second);
    assert.deepEqual(writer.tenants(), []);
  });

  it('does not lose what is added while it loads', async () => {
    const objects = freshStore();
    await store(objects, 't', series({ app: 'a' }, 1n));
    const catalog = new SegmentCatalog(objects, silentLogger);
    const loading = catalog.load();
    const added = await store(freshStore(), 't', series({ app: 'b' }, 1n));
    catalog.add(added);
    await loading;
    assert.equal(catalog.segmentCount, 2);
    assert.deepEqual(
      catalog.segments('t').map((segment) => segment.key === added),
      [false, true],
    );
  });

  it('answers with the segments of the tick in which it was asked', async () => {
    const objects = freshStore();
    const catalog = await loaded(objects);
    const first = await store(objects, 't', series({ app: 'a' }, 1n));
    const second = await store(objects, 't', series({ app: 'b' }, 1n));
    catalog.add(first);
    const asked = catalog.select({ tenant: 't', matchers: [], ...ever });
    catalog.add(second);
    catalog.remove(first);
    assert.deepEqual(labelTexts(await asked), ['app=a']);
  });

  it('sets aside segments that are corrupt or gone, logs each once and answers from the others', async () => {
    const objects = freshStore();
    const corrupt = await store(objects, 't', series({ app: 'a' }, 1n));
    const bytes = Buffer.from(await objects.get(corrupt));
    bytes[parseSegmentKey(corrupt)!.sizeBytes - 40]! ^= 1;
    await objects.put(corrupt, [bytes]);
    const gone = await store(objects, 't', series({ app: 'b' }, 1n));
    await store(objects, 't', series({ app: 'c' }, 1n));
    await objects.put('segments/t/stranger', [Buffer.from('x')]);
    const logged: LogFields[] = [];
    const logger: Logger = { ...silentLogger, error: (_, fields) => logged.push(fields!) };
    const catalog = await loaded(objects, logger);
    const removed = Buffer.from(await objects.get(gone));
    await objects.delete(gone);
    let leftOut = 0;
    const request = { tenant: 't', matchers: [], ...ever, onLeftOut: () => leftOut++ };
    for (let i = 0; i < 3; i++) assert.deepEqual(labelTexts(await catalog.select(request)), ['app=c']);
    assert.equal(catalog.setAsideCount, 3);
    assert.equal(leftOut, 6);
    assert.deepEqual(logged.map((fields) => fields['segment']).sort(), [corrupt, gone, 'segments/t/stranger'].sort());
    // A segment that is back, as when its volume was mounted late, is read again.
    await objects.put(gone, [removed]);
    assert.deepEqual(labelTexts(await catalog.select(request)), ['app=b', 'app=c']);
    assert.equal(catalog.setAsideCount, 2);
  });

  it('reads a footer once for all who ask at a time, and again after a failure of the store', async () => {
    const objects = freshStore();
    await store(objects, 't', series({ app: 'a' }, 1n));
    let isDown = true;
    const shaky: ObjectStore = Object.create(objects, {
      get: {
        value: (...request: Parameters<ObjectStore['get']>) =>
          isDown ? Promise.reject(new ObjectStoreError('unavailable', 'down')) : objects.get(...request),
      },
      list: { value: (prefix: string) => objects.list(prefix) },
    });
    const catalog = await loaded(shaky);
    const request = { tenant: 't', matchers: [], ...ever };
    await assert.rejects(catalog.select(request), { code: 'unavailable', retryable: true });
    isDown = false;
    await Promise.all([catalog.select(request), catalog.labelNames(request), catalog.select(request)]);
    await catalog.select(request);
    assert.equal(catalog.footerReads, 2);
  });

  it('reads footers and filters ahead, the newest first, up to a bound and until it is told to stop', async () => {
    const text = (seed: number) => createHash('sha512').update(`${seed}`).digest('hex');
    const objects = freshStore();
    const keys: string[] = [];
    for (let s = 0; s < 4; s++) {
      const rows = Array.from({ length: 100 }, (_, i) => ({ ns: BigInt(s * 1000 + i), line: text(s * 1000 + i) }));
      keys.push(await store(objects, 't', { labels: [['app', 'a']], blocks: encodeBlocks(headOf(rows)) }));
    }
    const never = new AbortController().signal;
    const all = await loaded(objects);
    await all.readAhead(2 ** 24, never);
    const { footerReads, filterBytes } = all;
    assert.equal(footerReads, 4);
    const condition: RowCondition = { kind: 'text', bytes: text(1005).slice(0, 40) };
    const found = await all.select({ tenant: 't', matchers: [], ...ever, condition });
    assert.deepEqual(
      found.flatMap(({ blocks }) => blocks.map(({ segmentKey }) => segmentKey)),
      [keys[1]],
    );
    assert.deepEqual([all.footerReads, all.filterBytes], [footerReads, filterBytes]);

    const some = await loaded(objects);
    await some.readAhead(1, never);
    assert.equal(some.footerReads, 1);
    await some.footer(keys[3]!);
    assert.equal(some.footerReads, 1);

    const none = await loaded(objects);
    await none.readAhead(2 ** 24, AbortSignal.abort());
    assert.deepEqual([none.footerReads, none.filterBytes], [0, 0]);
  });

  it('keeps no more footers than its memory allows', async () => {
    const objects = freshStore();
    for (let i = 0; i < 20; i++) await store(objects, 't', series({ app: `a${i}` }, 1n));
    const catalog = await loaded(objects, silentLogger, 20_000);
    const found = await catalog.select({ tenant: 't', matchers: [], ...ever });
    assert.equal(found.length, 20);
    assert.ok(catalog.footerBytes > 0 && catalog.footerBytes <= 20_000, `${catalog.footerBytes}`);
  });
});
