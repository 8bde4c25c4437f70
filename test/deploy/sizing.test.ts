import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ASSUMED,
  COMPARED,
  comparison,
  costs,
  LOADS,
  MEASURED,
  mostPerProcess,
  size,
  storagePrice,
  tables,
} from '../../deploy/sizing.ts';
import { readText } from './deploy-files.ts';

const page = readText('docs/scaling.md');
const between = (mark: string): string => page.split(`<!-- ${mark} -->`)[1]!.split(`<!-- /${mark} -->`)[0]!.trim();

test('the tables of docs/scaling.md are what deploy/sizing.ts prints', () => {
  const [machines, bucket] = tables(LOADS).split('\n\n');
  assert.equal(between('machines'), machines);
  assert.equal(between('bucket'), bucket);
  assert.equal(between('comparison'), comparison(COMPARED));
});

test('the formulas of docs/scaling.md have the figures of deploy/sizing.ts', () => {
  const { distributor, ingester, compactor } = costs();
  for (const seconds of [`${distributor} = `, `${ingester.toFixed(1)} = `, `${compactor} = `]) {
    assert.ok(page.includes(`| ${seconds}`), seconds);
  }
  const most = mostPerProcess();
  assert.ok(
    page.includes(`${most.distributor.toFixed(2)} GB a second in a distributor, ${most.ingester.toFixed(2)} in`),
  );
  assert.ok(page.includes(`enough for ${((most.compactor * 86_400) / 1000).toFixed(1)} TB a day`));
});

test('storage is priced by tiers', () => {
  assert.equal(storagePrice(0), 0);
  assert.equal(storagePrice(1000), 23);
  assert.equal(Math.round(storagePrice(50_000)), 1150);
  assert.equal(Math.round(storagePrice(60_000)), 1150 + 220);
  assert.equal(Math.round(storagePrice(600_000)), 1150 + 9900 + 2100);
});

test('a small load has each part as often as copies and outages ask for, a larger one is never smaller', () => {
  const podsOf = (tbPerDay: number): Record<string, number> =>
    Object.fromEntries(size(tbPerDay).roles.map(({ name, pods }) => [name, pods]));
  assert.deepEqual(podsOf(0.01), { distributor: 2, ingester: 3, querier: 2, 'query-frontend': 2, compactor: 1 });
  const loads = [0.01, 0.5, 1, 3, 10, 30, 100, 300];
  for (const [i, load] of loads.entries()) {
    const { ingester } = podsOf(load);
    assert.equal(ingester! % ASSUMED.copies, 0, 'the same number in each zone');
    const before = size(loads[i - 1] ?? load);
    for (const figure of ['cores', 'memoryGB', 'storedTB', 'putsPerMonth', 'getsPerMonth', 'objects'] as const) {
      assert.ok(size(load)[figure] >= before[figure], `${figure} at ${load} TB`);
    }
  }
});

test('requests and bytes grow with the load, one by one', () => {
  const [one, ten] = [size(1), size(10)];
  for (const figure of ['storedTB', 'putsPerMonth', 'getsPerMonth', 'objects'] as const) {
    assert.ok(Math.abs(ten[figure] / one[figure] - 10) < 1e-9, figure);
  }
});

test('what is written by hand agrees: 1 TB a day, three copies of 16 MiB segments and merges to 128 MiB', () => {
  const storedMiBPerMonth = (30e12 * MEASURED.storedShare) / 2 ** 20;
  const firstWrites = ((3 * storedMiBPerMonth) / 16) * 4;
  const merges = ((3 * storedMiBPerMonth) / 128) * 18;
  assert.equal(Math.round(size(1).putsPerMonth), Math.round(firstWrites + merges));
});
