import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mergePartials } from '../../logql/aggregate/index.ts';
import { type MetricPlan, planQuery } from '../../logql/plan/index.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { encodeBlocks, openBlock } from '../block/index.ts';
import { headOf, type TestRow } from '../block/testing/heads.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { MetricScan } from './metric-scan.ts';
import { newScanStats } from './scan-stats.ts';
import { groupOverlapping, type ScanUnit, storedRef } from './units.ts';

const second = 1_000_000_000n;
const startNs = 1_700_000_000n * second;
const running = new Int32Array(new SharedArrayBuffer(4));

/** A row a second from `startNs + 1 s` on, in blocks of ten. */
function unitsOf(count: number, metadata: TestRow['metadata']): { units: ScanUnit[]; bytes: Map<string, Uint8Array> } {
  const rows: TestRow[] = Array.from({ length: count }, (_, i) => ({
    ns: startNs + BigInt(i + 1) * second,
    line: `line ${i}`,
    ...(metadata && { metadata }),
  }));
  const bytes = new Map<string, Uint8Array>();
  const refs = encodeBlocks(headOf(rows), { maxRows: 10, maxLineBytes: 2 ** 20, maxSpanNs: 2 ** 52 }).map((block) => {
    const segmentKey = `segment ${bytes.size}`;
    bytes.set(segmentKey, block.bytes);
    const { linesOffset } = openBlock(block.bytes);
    return storedRef({ segmentKey, offset: 0, length: block.bytes.length, linesOffset, stats: block.stats });
  });
  return { units: groupOverlapping([['app', 'a']], refs), bytes };
}

/** Values of the one series, and which of the blocks were opened. */
async function scan(query: string, stepSeconds: number, metadata?: TestRow['metadata']) {
  const plan = planQuery(parseQuery(query), {
    startNs: startNs + 40n * second,
    endNs: startNs + 80n * second,
    stepNs: BigInt(stepSeconds) * second,
    intervalNs: 0n,
    limit: 100,
    direction: 'backward',
    instant: false,
  }) as MetricPlan;
  const { units, bytes } = unitsOf(80, metadata);
  const opened: string[] = [];
  const getSync: ObjectStore['getSync'] = (key, range) => {
    opened.push(key.slice('segment '.length));
    return bytes.get(key)!.subarray(range!.offset, range!.offset + range!.length);
  };
  const source = new BlockSource({ getSync } as Partial<ObjectStore> as ObjectStore);
  const stats = newScanStats();
  const metric = new MetricScan(plan.scans[0]!, null);
  for (const unit of units) await metric.add(unit, source, running, stats);
  const { series } = mergePartials(plan.scans[0]!, [metric.partial()]);
  return { values: series.map(({ labels, values }) => [labels, [...values]]), opened: opened.join(' '), stats };
}

describe('MetricScan', () => {
  it('counts blocks within one step by what the index says, and opens none of them', async () => {
    const { values, opened, stats } = await scan('sum by (app) (count_over_time({app="a"}[40s]))', 40);
    assert.deepEqual(values, [[[['app', 'a']], [40, 40]]]);
    assert.equal(opened, '');
    assert.deepEqual([stats.storedBlocks, stats.storedRows, stats.postFilterRows], [8, 80, 80]);
    const bytes = await scan('sum by (app) (bytes_over_time({app="a"}[40s]))', 40);
    assert.deepEqual(bytes.values, [[[['app', 'a']], [10 * 6 + 30 * 7, 40 * 7]]]);
    assert.equal(bytes.opened, '');
  });

  it('opens blocks that steps cut through', async () => {
    const { values, opened } = await scan('sum by (app) (count_over_time({app="a"}[25s]))', 25);
    assert.deepEqual(values, [[[['app', 'a']], [25, 25]]]);
    assert.equal(opened, '1 6');
  });

  it('opens blocks where lines, metadata or their labels matter', async () => {
    const pod: TestRow['metadata'] = [['pod', 'p']];
    const level: TestRow['metadata'] = [['detected_level', 'info']];
    const all = '0 1 2 3 4 5 6 7';
    assert.equal((await scan('sum by (app) (count_over_time({app="a"} |= "1" [40s]))', 40)).opened, all);
    assert.equal((await scan('count_over_time({app="a"}[40s])', 40)).opened, all);
    assert.equal((await scan('sum by (pod) (count_over_time({app="a"}[40s]))', 40, pod)).opened, all);
    assert.equal((await scan('sum by (app) (count_over_time({app="a"}[40s]))', 40, pod)).opened, all);
    assert.equal((await scan('sum by (detected_level) (count_over_time({app="a"}[40s]))', 40, level)).opened, all);
    assert.equal((await scan('sum by (app) (count_over_time({app="a"}[40s]))', 40, level)).opened, '');
    assert.equal((await scan('sum(count_over_time({app="a"}[40s]))', 40, pod)).opened, '');
  });
});
