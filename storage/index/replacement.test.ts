import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { silentLogger } from '../host/logger.ts';
import { parseSegmentKey } from '../segment/index.ts';
import { segmentKey } from '../segment/key.ts';
import { SegmentCatalog } from './index.ts';
import { activeKey, encodeReplacement, exchangeOf, type ReplacementNote, readReplacements } from './replacement.ts';

const NOTE_ID = '0'.repeat(27);
const PREFIX = 'a'.repeat(24);
const keyOf = (id: string): string =>
  segmentKey({ tenant: 't', minNs: 1n, maxNs: 2n, id, sizeBytes: 0, footerBytes: 0 });
const SOURCES = ['1', '2', '3'].map((digit) => keyOf(digit.repeat(28)));
const OUTPUTS = ['0000', '0001'].map((number) => keyOf(PREFIX + number));
const base = { tenant: 't', sources: SOURCES, reason: 'compaction' } as const;
const claim: ReplacementNote = { ...base, kind: 'claim', id: `${NOTE_ID}1`, idPrefix: PREFIX, untilMs: 5 };
const done: ReplacementNote = {
  ...base,
  kind: 'replacement',
  id: `${NOTE_ID}1`,
  outputs: OUTPUTS,
  isEarly: false,
};

interface State {
  readonly notes: readonly ReplacementNote[];
  readonly keys: readonly string[];
}

/** What a listing shows that finds each key at some moment from `from` on and ends at `to`. */
function shown(states: readonly State[], from: number, to: number, momentOf: (key: string) => number): string[] {
  const keys = [...SOURCES, ...OUTPUTS].filter((key) => {
    const moment = Math.min(to, Math.max(from, momentOf(key)));
    return states[moment]!.keys.includes(key);
  });
  const listed = new Map(keys.map((key) => [key, parseSegmentKey(key)!.id]));
  const { replaced, unfinished } = exchangeOf(listed, states[from]!.notes, states[to]!.notes);
  return keys.filter((key) => !replaced.has(key) && !unfinished.has(key));
}

const moments = fc.array(fc.nat({ max: 20 }), { minLength: 5, maxLength: 5 });
const momentIn = (chosen: readonly number[]) => (key: string) => chosen[[...SOURCES, ...OUTPUTS].indexOf(key)]!;

describe('notes of compactions', () => {
  it('show the sources or all outputs, whenever the store is listed', () => {
    const states: State[] = [
      { notes: [], keys: SOURCES },
      { notes: [claim], keys: SOURCES },
      { notes: [claim], keys: [...SOURCES, OUTPUTS[0]!] },
      { notes: [claim], keys: [...SOURCES, ...OUTPUTS] },
      { notes: [done], keys: [...SOURCES, ...OUTPUTS] },
      // Sources are kept for longer than a listing takes: what comes is not in one listing with what was before.
      { notes: [done], keys: [SOURCES[2]!, ...OUTPUTS] },
      { notes: [done], keys: OUTPUTS },
      { notes: [], keys: OUTPUTS },
      // Much later an output is replaced itself, after the note about it has gone.
    ];
    fc.assert(
      fc.property(fc.nat({ max: 7 }), fc.nat({ max: 7 }), moments, (a, b, chosen) => {
        const from = Math.min(a, b);
        const to = Math.max(a, b);
        if (from < 4 && to > 4) return;
        const visible = shown(states, from, to, momentIn(chosen));
        const isSources = JSON.stringify(visible) === JSON.stringify(SOURCES);
        const isOutputs = JSON.stringify(visible) === JSON.stringify(OUTPUTS);
        assert.ok(isSources || isOutputs, `from ${from} to ${to}: ${visible.join(' ')}`);
        if (to < 4) assert.ok(isSources);
        if (from >= 4) assert.ok(isOutputs);
      }),
      { numRuns: 2000 },
    );
  });

  it('show the sources when the outputs were taken back', () => {
    const states: State[] = [
      { notes: [claim], keys: [...SOURCES, ...OUTPUTS] },
      { notes: [claim], keys: [...SOURCES, OUTPUTS[1]!] },
      { notes: [claim], keys: SOURCES },
      { notes: [], keys: SOURCES },
    ];
    fc.assert(
      fc.property(fc.nat({ max: 3 }), fc.nat({ max: 3 }), moments, (a, b, chosen) => {
        const visible = shown(states, Math.min(a, b), Math.max(a, b), momentIn(chosen));
        assert.deepEqual(visible, SOURCES);
      }),
    );
  });

  it('that were carried out hide nothing of what replaced their outputs meanwhile', () => {
    const later = keyOf('f'.repeat(28));
    const listed = new Map([
      [OUTPUTS[1]!, `${PREFIX}0001`],
      [later, 'f'.repeat(28)],
    ]);
    const { replaced, unfinished } = exchangeOf(listed, [done], []);
    assert.deepEqual(
      [...listed.keys()].filter((key) => replaced.has(key) || unfinished.has(key)),
      [],
    );
  });

  it('of the first release are read, and count with their output', async () => {
    const store = new MemoryStore();
    const put = (note: object, digit: string) =>
      store.put(`compactions/t/${NOTE_ID}${digit}.json`, [Buffer.from(JSON.stringify(note))]);
    await put({ output: OUTPUTS[0], sources: [SOURCES[0]], reason: 'compaction' }, '1');
    await put({ output: null, sources: [SOURCES[1]], reason: 'retention' }, '2');
    for (const key of [...SOURCES, OUTPUTS[0]!]) await store.put(key, []);
    const visible = async () => {
      const catalog = new SegmentCatalog(store, silentLogger);
      await catalog.load();
      return new Set(catalog.segments('t').map(({ key }) => key));
    };
    assert.deepEqual(await visible(), new Set([SOURCES[2], OUTPUTS[0]]));
    await store.delete(OUTPUTS[0]!);
    assert.deepEqual(await visible(), new Set([SOURCES[0], SOURCES[2]]));
  });

  it('are read as they were written, and what is none is told of', async () => {
    const store = new MemoryStore();
    const notes: ReplacementNote[] = [claim, { ...done, id: `${NOTE_ID}2` }];
    for (const note of notes) await store.put(activeKey(note), [encodeReplacement(note)]);
    const bad = [
      '{',
      'null',
      '{"sources":[],"reason":"compaction"}',
      '{"claim":"x","until":1,"sources":[],"reason":"delete"}',
      '{"outputs":[1],"sources":[],"reason":"delete"}',
      '{"outputs":[],"sources":[],"reason":"why"}',
    ];
    for (const [i, text] of bad.entries())
      await store.put(`compactions/t/${NOTE_ID}${i + 3}.json`, [Buffer.from(text)]);
    const corrupt: string[] = [];
    assert.deepEqual(await readReplacements(store, 'compactions/', ({ key }) => corrupt.push(key)), notes);
    assert.equal(corrupt.length, bad.length);
  });
});

describe('SegmentCatalog', () => {
  it('does not bring back what is replaced while it lists the store', async () => {
    const store = new MemoryStore();
    for (const key of SOURCES) await store.put(key, []);
    const catalog = new SegmentCatalog(store, silentLogger);
    await catalog.load();
    const list = store.list.bind(store);
    store.list = async function* (prefix) {
      yield* list(prefix);
      if (prefix === 'segments/') catalog.replace(SOURCES, OUTPUTS);
    };
    await catalog.refresh();
    assert.deepEqual(
      catalog.segments('t').map(({ key }) => key),
      OUTPUTS,
    );
  });
});
