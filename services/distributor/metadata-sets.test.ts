import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeMetadataSet, encodeMetadataSet } from '../../storage/block/metadata-set.ts';
import { normaliseMetadataName } from './metadata-name.ts';
import { MetadataSets, Shapes } from './metadata-sets.ts';
import { PushRows } from './push-rows.ts';
import { repairUtf8 } from './utf8-repair.ts';

/** Rows whose metadata is `all`. */
function rowsOf(all: readonly (readonly (readonly [string, string | Buffer])[])[]): PushRows {
  const parts: Buffer[] = [];
  let at = 0;
  const put = (text: string | Buffer): [number, number] => {
    const bytes = Buffer.from(text);
    parts.push(bytes);
    at += bytes.length;
    return [at - bytes.length, bytes.length];
  };
  const places = all.map((pairs) => pairs.map(([name, value]) => [...put(name), ...put(value)] as const));
  const rows = new PushRows(Buffer.concat(parts));
  for (const pairs of places) {
    rows.addRow();
    for (const pair of pairs) rows.addPair(...pair);
  }
  return rows;
}

const setAt = (sets: MetadataSets, index: number): [string, string][] =>
  index === 0 ? [] : decodeMetadataSet(sets.bytes, index > 1 ? sets.ends[index - 2]! : 0, sets.ends[index - 1]!);

const names: Readonly<Record<string, string>> = {
  'a.b': 'a_b',
  'a--b..c': 'a_b_c',
  '9lead': 'key_9lead',
  __d: '_d',
  f__g: 'f_g',
  'é.x': '_x',
  'a/é': 'a_',
  'k-1.y': 'k_1_y',
  _x: '_x',
  plain: 'plain',
  '😀a': '_a',
  __tenant__: '__tenant__',
  '__a.b__c__': '__a_b_c__',
  __9__: '__9__',
};
for (const [name, normalised] of Object.entries(names)) {
  test(`the name ${name} is kept as ${normalised}`, () => assert.equal(normaliseMetadataName(name), normalised));
}

test('a name that leaves nothing refuses the push in Loki’s words', () => {
  assert.throws(() => normaliseMetadataName(''), { status: 500, message: 'label name is empty' });
  const left: [name: string, rest: string][] = [
    ['é', '_'],
    ['_', '_'],
    ['__', '_'],
    ['-.-', '_'],
    ['____', '____'],
    ['__é__', '_____'],
  ];
  for (const [name, rest] of left) {
    assert.throws(() => normaliseMetadataName(name), {
      status: 500,
      message: `normalization for label name "${name}" resulted in invalid name "${rest}"`,
    });
  }
});

test('sets are sorted, complete, and carry the level', () => {
  const rows = rowsOf([
    [
      ['z', '1'],
      ['a.b', '2'],
      ['empty', ''],
      ['a-b', 'last wins'],
      ['a_b', 'made equal comes before'],
    ],
  ]);
  const sets = new MetadataSets();
  const index = sets.addRow(rows, 0, new Shapes([]).of(rows, 0), 'info');
  assert.deepEqual(setAt(sets, index), [
    ['a_b', 'last wins'],
    ['detected_level', 'info'],
    ['z', '1'],
  ]);
  assert.equal(sets.lastSize, 'a_blast wins'.length + 'z1'.length);
});

test('equal sets of neighbours are stored once, also when they alternate', () => {
  const rows = rowsOf([[['a', '1']], [['a', '2']], [['a', '1']], [['a', '2']], [], []]);
  const sets = new MetadataSets();
  const shapes = new Shapes([]);
  const indexes = [0, 1, 2, 3].map((row) => sets.addRow(rows, row, shapes.of(rows, row), 'info'));
  assert.deepEqual(indexes, [1, 2, 1, 2]);
  assert.deepEqual(
    [sets.addLevel('info'), sets.addLevel('warn'), sets.addLevel('info'), sets.addLevel('')],
    [3, 4, 3, 0],
  );
});

test('sets are what encodeMetadataSet makes of the same pairs', () => {
  const pairs = fc.array(
    fc.tuple(fc.stringMatching(/^[a-c.-]{0,3}[a-z0-9]$/), fc.string({ unit: 'grapheme', maxLength: 300 })),
    {
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(fc.array(pairs, { maxLength: 12 }), (all) => {
      const rows = rowsOf(all);
      const sets = new MetadataSets();
      const shapes = new Shapes([]);
      const indexes = all.map((_, row) => sets.addRow(rows, row, shapes.of(rows, row), 'error'));
      all.forEach((row, i) => {
        const expected = new Map(
          row.map(([name, value]) => [normaliseMetadataName(name), value.replaceAll('\ufffd', ' ')]),
        );
        expected.set('detected_level', 'error');
        const sorted = [...expected].filter(([, value]) => value !== '').sort(([a], [b]) => (a < b ? -1 : 1));
        const start = indexes[i]! > 1 ? sets.ends[indexes[i]! - 2]! : 0;
        assert.deepEqual(
          Buffer.from(sets.bytes.subarray(start, sets.ends[indexes[i]! - 1]!)),
          encodeMetadataSet(sorted),
        );
      });
    }),
  );
});

test('rows find their shape by name, whatever stood before', () => {
  const rows = rowsOf([
    [['a', '']],
    [
      ['a', ''],
      ['level', ''],
    ],
    [['b', '']],
    [['a', '']],
  ]);
  const shapes = new Shapes(['level']);
  assert.equal(shapes.of(rows, 0), shapes.of(rows, 3));
  assert.deepEqual(shapes.of(rows, 1).names, ['a', 'level']);
  assert.equal(shapes.of(rows, 1).fieldPair, 1);
  assert.equal(shapes.of(rows, 2).fieldPair, -1);
});

test('each byte that is no UTF-8 becomes a space, and U+FFFD one', () => {
  const repaired = (...bytes: number[]) => Buffer.from(repairUtf8(Uint8Array.from(bytes))).toString('latin1');
  assert.equal(repaired(0x61, 0xff, 0x62), 'a b');
  assert.equal(repaired(0xe6, 0x97), '  ');
  assert.equal(repaired(0xed, 0xa0, 0x80), '   ');
  assert.equal(repaired(0xc0, 0x80), '  ');
  assert.equal(repaired(0xf4, 0x90, 0x80, 0x80), '    ');
  assert.equal(repaired(0xef, 0xbf, 0xbd, 0x61), ' a');
  const sound = Buffer.from('aé日😀');
  assert.equal(repairUtf8(sound), sound);
});
