import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { ManualClock } from '../distributor/testing/manual-clock.ts';
import { InMemoryMembership } from './in-memory-membership.ts';
import { registerRingMetrics } from './metrics.ts';

test('members of each ring are counted by state, the unhealthy apart', async () => {
  const clock = new ManualClock(1000);
  const ingesters = new InMemoryMembership(clock, 1000);
  const others = new InMemoryMembership(clock);
  const registry = new Registry();
  registerRingMetrics(
    registry,
    new Map([
      ['ingester', ingesters],
      ['distributor', others],
    ]),
  );
  for (const id of ['one', 'two', 'three']) await ingesters.register({ id, address: '', zone: '', state: 'ACTIVE' });
  await ingesters.setState('two', 'LEAVING');
  const counts = async (name: string) => {
    const text = await registry.metrics();
    const lines = [...text.matchAll(new RegExp(`^loki_ring_members\\{name="${name}",state="(\\w+)"\\} (\\d+)$`, 'gm'))];
    return Object.fromEntries(lines.map(([, state, count]) => [state, Number(count)]));
  };
  assert.deepEqual(await counts('ingester'), { PENDING: 0, JOINING: 0, ACTIVE: 2, LEAVING: 1, Unhealthy: 0 });
  assert.deepEqual(await counts('distributor'), { PENDING: 0, JOINING: 0, ACTIVE: 0, LEAVING: 0, Unhealthy: 0 });
  clock.advance(1001);
  ingesters.heartbeat('one');
  assert.deepEqual(await counts('ingester'), { PENDING: 0, JOINING: 0, ACTIVE: 1, LEAVING: 0, Unhealthy: 2 });
});
