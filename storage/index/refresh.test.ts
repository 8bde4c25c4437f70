import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { silentLogger } from '../host/logger.ts';
import type { ObjectEntry } from '../objectstore/index.ts';
import { segmentKey } from '../segment/key.ts';
import { activeKey, encodeReplacement, type ReplacementNote, SegmentCatalog } from './index.ts';

const digits = (n: number, length: number): string => n.toString(16).padStart(length, '0');

/** Segment number `n`, as a key alone; nobody opens it here. */
function keyOf(n: number): string {
  return segmentKey({ tenant: 't', minNs: 0n, maxNs: 9n, id: digits(n, 28), sizeBytes: 100, footerBytes: 50 });
}

class CountingStore extends MemoryStore {
  lists: string[] = [];
  /** Runs when a listing of segments is about to end. */
  atEndOfList: (() => void) | null = null;
  /** What notes there are is told only after this. */
  gate: Promise<void> | null = null;

  override async *list(prefix: string): AsyncGenerator<ObjectEntry> {
    this.lists.push(prefix);
    const found: ObjectEntry[] = [];
    for await (const entry of super.list(prefix)) found.push(entry);
    if (!prefix.startsWith('segments/')) await this.gate;
    yield* found;
    if (prefix.startsWith('segments/')) this.atEndOfList?.();
  }
}

async function setUp(...stored: number[]) {
  const store = new CountingStore();
  const put = (n: number) => store.put(keyOf(n), [new Uint8Array(100)]);
  for (const n of stored) await put(n);
  const catalog = new SegmentCatalog(store, silentLogger);
  await catalog.load();
  store.lists = [];
  const note = async (id: number, more: Partial<ReplacementNote> & Pick<ReplacementNote, 'sources' | 'kind'>) => {
    const full = { tenant: 't', id: digits(id, 28), reason: 'compaction', ...more } as ReplacementNote;
    await store.put(activeKey(full), [encodeReplacement(full)]);
    return full;
  };
  const shown = (): number[] => catalog.segments('t').map(({ id }) => Number.parseInt(id, 16));
  return { store, catalog, put, note, shown };
}

describe('a catalog that others write to', () => {
  it('learns from notes alone what has replaced what', async () => {
    const { catalog, put, note, shown, store } = await setUp(1, 2, 3);
    await put(4);
    await note(4, { kind: 'replacement', sources: [keyOf(1), keyOf(2)], outputs: [keyOf(4)], isEarly: false });
    await note(5, { kind: 'replacement', sources: [keyOf(3)], outputs: [], isEarly: false, reason: 'retention' });
    await catalog.refreshReplaced();
    assert.deepEqual(shown(), [4]);
    assert.ok(!store.lists.some((prefix) => prefix.startsWith('segments/')), 'no segment was listed');
    await catalog.refresh();
    assert.deepEqual(shown(), [4]);
  });

  it('lets a claim, and an early note without its output, change nothing', async () => {
    const { catalog, put, note, shown, store } = await setUp(1, 2);
    await note(4, { kind: 'claim', sources: [keyOf(1)], idPrefix: digits(4, 24), untilMs: 1 });
    const early = { tenant: 't', id: digits(5, 28) };
    const text = JSON.stringify({ output: keyOf(5), sources: [keyOf(2)], reason: 'compaction' });
    await store.put(activeKey(early), [Buffer.from(text)]);
    await catalog.refreshReplaced();
    assert.deepEqual(shown(), [1, 2]);
    await put(5);
    await catalog.refreshReplaced();
    assert.deepEqual(shown(), [1, 5]);
  });

  it('shows the sources as long as an output is missing: somebody took it back who thought the work had ended', async () => {
    const { catalog, put, note, shown } = await setUp(1, 2);
    await put(4);
    const outputs = [keyOf(4), keyOf(5)];
    await note(4, { kind: 'replacement', sources: [keyOf(1), keyOf(2)], outputs, isEarly: false });
    for (const look of [() => catalog.refreshReplaced(), () => catalog.refresh()]) {
      await look();
      assert.deepEqual(shown(), [1, 2]);
    }
    await put(5);
    await catalog.refreshReplaced();
    assert.deepEqual(shown(), [4, 5]);
  });

  it('shows nothing again that another process replaced while two were listing', async () => {
    const { catalog, put, note, shown, store } = await setUp(1);
    const gate = Promise.withResolvers<void>();
    store.atEndOfList = () => {
      store.gate = gate.promise;
    };
    const first = catalog.refresh();
    await new Promise((resolve) => setImmediate(resolve));
    store.atEndOfList = null;
    await put(4);
    await note(4, { kind: 'replacement', sources: [keyOf(1)], outputs: [keyOf(4)], isEarly: false });
    store.gate = null;
    const second = catalog.refresh();
    await new Promise((resolve) => setImmediate(resolve));
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(shown(), [4]);
  });

  it('lists again after a listing that failed', async () => {
    const { catalog, put, shown, store } = await setUp(1);
    store.gate = Promise.reject(new Error('down'));
    await assert.rejects(catalog.refresh(), { message: 'down' });
    store.gate = null;
    await put(2);
    await catalog.refresh();
    assert.deepEqual(shown(), [1, 2]);
  });

  it('does not show again what others stand for, whoever tells of it', async () => {
    const { catalog, put, note, shown } = await setUp(1);
    await put(4);
    await note(4, { kind: 'replacement', sources: [keyOf(1)], outputs: [keyOf(4)], isEarly: false });
    await catalog.refreshReplaced();
    catalog.add(keyOf(1));
    assert.deepEqual(shown(), [4]);
    await catalog.refresh();
    catalog.add(keyOf(1));
    assert.deepEqual(shown(), [4]);
  });

  it('hides what others stand for when it was told of it during the listing', async () => {
    const { catalog, put, note, shown, store } = await setUp();
    await put(1);
    await put(4);
    await note(4, { kind: 'replacement', sources: [keyOf(1)], outputs: [keyOf(4)], isEarly: false });
    store.atEndOfList = () => catalog.add(keyOf(1));
    await catalog.refresh();
    assert.deepEqual(shown(), [4]);
  });

  it('keeps what was told of during a listing that came too early for it', async () => {
    const { catalog, put, shown, store } = await setUp(1);
    store.atEndOfList = () => {
      void put(2);
      catalog.add(keyOf(2));
    };
    await catalog.refresh();
    assert.deepEqual(shown(), [1, 2]);
  });

  it('drops what is in the store no more', async () => {
    const { catalog, shown, store } = await setUp(1, 2);
    await store.delete(keyOf(1));
    await catalog.refresh();
    assert.deepEqual(shown(), [2]);
  });
});
