import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compilePipeline } from '../../logql/stages/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { encodeBlocks } from '../block/index.ts';
import { headOf, type TestRow } from '../block/testing/heads.ts';
import { FilesystemStore } from '../objectstore/filesystem-store.ts';
import { BlockSource } from './block-source.ts';
import { FrontCheck } from './front-check.ts';
import { newScanStats } from './scan-stats.ts';
import { groupOverlapping, memoryRef } from './units.ts';

const STREAM = [['app', 'web']] as const;

function checkOf(query: string): FrontCheck | null {
  const { stages } = parseQuery(query) as LogSelectorExpr;
  return FrontCheck.of(compilePipeline({ stages, grouping: { kind: 'categories' } }));
}

function unitOf(rows: readonly TestRow[]) {
  return groupOverlapping(STREAM, [memoryRef(encodeBlocks(headOf(rows))[0]!)])[0]!;
}

const unit = unitOf([
  { ns: 1n, line: 'one', metadata: [['trace', '00ff']] },
  {
    ns: 2n,
    line: 'two',
    metadata: [
      ['trace', 'abcd'],
      ['app', 'x'],
      ['took', '7s'],
    ],
  },
  { ns: 3n, line: 'three' },
]);

/** Whether the unit's block is opened for a query, and bytes of lines that this took. */
async function opens(query: string): Promise<[boolean, number]> {
  const stats = newScanStats();
  const source = new BlockSource(new FilesystemStore({ kind: 'filesystem', directory: '/nowhere' }));
  const blocks = await source.open(unit, { lines: true, metadata: null }, stats, checkOf(query));
  return [blocks.length > 0, stats.recentLineBytes];
}

describe('a look at the metadata of a block', () => {
  it('spares its lines when no row gets through the first stages', async () => {
    for (const filters of [
      'trace="beef"',
      'trace="fb"', // stands across two values
      'trace="ABCD"',
      'trace=~"b.+"',
      'other="abcd"',
      'app="api"',
      'app_extracted="web"',
      'took > 8s',
      'trace="00ff" and took="7s"',
      'trace="00ff" | took="7s"',
      'trace="00ff" and took="8s"',
    ]) {
      assert.deepEqual(await opens(`{app="web"} |= "t" | ${filters} | json`), [false, 0], filters);
    }
  });

  it('lets every block through that has such a row', async () => {
    for (const filters of [
      'trace="abcd"',
      'trace=~"a.+"',
      'trace=""',
      'trace!="abcd"',
      'app="web"',
      'app_extracted="x"',
      'took > 6s',
      'took > 8s or trace="00ff"',
      'trace="abcd" and took="7s"',
      'took > 1KB | __error__="LabelFilterErr"',
    ]) {
      assert.deepEqual(await opens(`{app="web"} | ${filters} | json`), [true, 11], filters);
    }
  });

  it('is not taken for filters behind stages that change labels', () => {
    for (const stages of ['| json | trace="beef"', '| label_format trace="beef" | trace="beef"', '|= "one"', '']) {
      assert.equal(checkOf(`{app="web"} ${stages}`), null);
    }
  });

  it('is no longer taken where rows of most blocks get through', () => {
    const check = checkOf('{app="web"} | app="web"')!;
    const columns = { rowCount: 1, baseNs: 0n, lineStarts: new Uint32Array(2), bytes: null, ascii: true, metadata: [] };
    for (let i = 0; i < 1000 && check.isWorthwhile; i++) {
      assert.ok(check.mayMatter({ ...columns, offsetsNs: new Float64Array(1) }, STREAM));
    }
    assert.equal(check.isWorthwhile, false);
  });
});
