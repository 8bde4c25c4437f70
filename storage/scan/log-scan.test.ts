import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type LogPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { encodeBlocks, openBlock } from '../block/index.ts';
import { headOf } from '../block/testing/heads.ts';
import { FilesystemStore } from '../objectstore/filesystem-store.ts';
import { BlockSource } from './block-source.ts';
import { LogScan } from './log-scan.ts';
import { newScanStats, type ScanStats } from './scan-stats.ts';
import { groupOverlapping, memoryRef, type ScanUnit } from './units.ts';

const store = new FilesystemStore({ kind: 'filesystem', directory: '/nowhere' });
const LIMIT = 10;

/** A block of `LIMIT` rows from `ns` on; a damaged one has good times and bytes of lines that are not what was written. */
function unitAt(ns: number, isDamaged = false): ScanUnit {
  const rows = Array.from({ length: LIMIT }, (_, i) => ({ ns: BigInt(ns + i), line: `line ${ns + i}` }));
  const block = encodeBlocks(headOf(rows))[0]!;
  if (isDamaged)
    for (let at = openBlock(block.bytes).linesOffset; at < block.bytes.length; at++) block.bytes[at]! ^= 0xff;
  return groupOverlapping([['app', 'web']], [memoryRef(block)])[0]!;
}

async function linesOf(units: readonly ScanUnit[], stats: ScanStats): Promise<string[]> {
  const plan = planQuery(parseQuery('{app="web"}'), {
    startNs: 0n,
    endNs: 1000n,
    stepNs: 0n,
    intervalNs: 0n,
    limit: LIMIT,
    direction: 'backward',
    instant: false,
  });
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  const { lines } = await new LogScan(plan as LogPlan, null).run(units, null, new BlockSource(store), cancel, stats);
  return [...lines];
}

describe('a scan for the first rows', () => {
  it('opens no block whose rows come behind those of others', async () => {
    const stats = newScanStats();
    const lines = await linesOf([unitAt(200), unitAt(100)], stats);
    assert.deepEqual([lines.length, lines[0]], [LIMIT, 'line 209']);
    assert.deepEqual([stats.recentBlocks, stats.corruptBlocks], [1, 0]);
  });

  it('finds rows behind those of a block whose times can be read and whose lines cannot', async () => {
    const stats = newScanStats();
    const lines = await linesOf([unitAt(200, true), unitAt(100)], stats);
    assert.deepEqual([lines.length, lines[0]], [LIMIT, 'line 109']);
    assert.deepEqual([stats.recentBlocks, stats.corruptBlocks], [1, 1]);
  });
});
