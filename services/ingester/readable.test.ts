import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { Ingester } from './index.ts';
import { ALL_TIME, batchOf, FakeClock, ingesterOptions, MemorySink, rowsOfRecent } from './testdata/fixture.ts';

it('an ingester answers no question before it has read its log: rows would be missing', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ingester-'));
  const sink = new MemorySink();
  const clock = new FakeClock();
  const before = new Ingester(ingesterOptions(directory, sink, clock));
  const ingester = new Ingester(ingesterOptions(directory, sink, clock));
  t.after(async () => {
    sink.before = () => {};
    await ingester.stop(0);
    await rm(directory, { recursive: true, force: true });
  });
  await before.start();
  await before.push(
    batchOf('t', {
      labels: '{app="a"}',
      rows: [
        [1n, 'one'],
        [2n, 'two'],
      ],
    }),
  );
  sink.before = () => {
    throw new Error('the store is down');
  };
  await before.stop(0);
  const asked = { tenant: 't', matchers: [], ...ALL_TIME };
  const questions = [
    () => ingester.recent(asked),
    () => ingester.stats(asked),
    () => ingester.series(asked),
    () => ingester.labelNames(asked),
    () => ingester.labelValues('app', asked),
  ];
  for (const ask of questions) await assert.rejects(ask(), { code: 'unavailable' });
  const starting = ingester.start();
  for (const ask of questions) await assert.rejects(ask(), { code: 'unavailable' });
  await starting;
  assert.deepEqual(rowsOfRecent(await ingester.recent(asked)), ['{app="a"} 1 one', '{app="a"} 2 two']);
});
