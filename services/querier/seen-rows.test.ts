import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';
import { headToColumns } from '../../storage/block/index.ts';
import { headOf, type TestRow } from '../../storage/block/testing/heads.ts';
import { SeenRows } from './seen-rows.ts';

const LABELS: Labels = [['app', 'a']];
const columnsOf = (rows: readonly TestRow[]): BlockColumns =>
  headToColumns(headOf(rows), { lines: true, metadata: null });
const one = (row: TestRow): BlockColumns => columnsOf([row]);

test('a row is known the second time, wherever it stands in a batch', () => {
  const seen = new SeenRows();
  const row = { ns: 5n, line: 'x', metadata: [['id', '1'] as [string, string]] };
  assert.equal(seen.isKnown(LABELS, one(row), 0), false);
  const batch = columnsOf([{ ns: 4n, line: 'other' }, row]);
  assert.equal(seen.isKnown(LABELS, batch, 0), false);
  assert.equal(seen.isKnown(LABELS, batch, 1), true);
});

test('rows that differ in anything are different rows', () => {
  const seen = new SeenRows();
  const rows: TestRow[] = [
    { ns: 5n, line: 'x' },
    { ns: 6n, line: 'x' },
    { ns: 5n, line: 'y' },
    { ns: 5n, line: 'x', metadata: [['id', '1']] },
    { ns: 5n, line: 'x', metadata: [['id', '2']] },
    { ns: 5n, line: 'x', metadata: [['no', '1']] },
    { ns: 5n, line: '' },
  ];
  for (const row of rows) assert.equal(seen.isKnown(LABELS, one(row), 0), false, JSON.stringify(row.metadata));
  assert.equal(seen.isKnown([['app', 'b']], one(rows[0]!), 0), false);
});

test('the latest rows stay known, and no more than twice the bound is kept', () => {
  const seen = new SeenRows(10);
  const row = (i: number): BlockColumns => one({ ns: BigInt(i), line: 'x' });
  for (let i = 0; i < 100; i++) {
    assert.equal(seen.isKnown(LABELS, row(i), 0), false);
    for (let back = Math.max(0, i - 9); back <= i; back++) assert.equal(seen.isKnown(LABELS, row(back), 0), true);
  }
  assert.equal(seen.isKnown(LABELS, row(0), 0), false);
});
