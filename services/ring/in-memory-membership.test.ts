import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../distributor/testing/manual-clock.ts';
import { InMemoryMembership } from './index.ts';

async function setUp(heartbeatTimeoutMs: number) {
  const clock = new ManualClock(1000);
  const membership = new InMemoryMembership(clock, heartbeatTimeoutMs);
  for (const id of ['one', 'two']) await membership.register({ id, address: '', zone: '', state: 'ACTIVE' });
  return { clock, membership };
}

test('the version grows with health, not with heartbeats', async () => {
  const { membership, clock } = await setUp(1000);
  const first = membership.version;
  clock.advance(600);
  membership.heartbeat('one');
  membership.heartbeat('two');
  clock.advance(600);
  assert.equal(membership.version, first);
  clock.advance(401);
  const second = membership.version;
  assert.ok(second > first);
  assert.deepEqual(membership.healthy(), []);
  membership.heartbeat('two');
  assert.ok(membership.version > second);
  assert.deepEqual(membership.healthy(), ['two']);
});

test('the version grows with every change of a member, and listeners hear of it', async () => {
  const { membership, clock } = await setUp(1000);
  let calls = 0;
  const end = membership.onChange(() => calls++);
  let version = membership.version;
  const grew = (): boolean => {
    const before = version;
    version = membership.version;
    return version > before;
  };
  await membership.register({ id: 'three', address: '', zone: 'z', state: 'PENDING' });
  assert.ok(grew());
  await membership.setState('three', 'JOINING');
  assert.ok(grew());
  await membership.setState('three', 'JOINING');
  assert.ok(!grew());
  await membership.unregister('three');
  assert.ok(grew());
  await membership.unregister('three');
  assert.ok(!grew());
  assert.equal(calls, 3);
  clock.advance(1001);
  assert.ok(grew());
  assert.equal(calls, 4);
  end();
  await membership.unregister('one');
  assert.equal(calls, 4);
});

test('a member that lives is not forgotten', async () => {
  const { membership, clock } = await setUp(1000);
  await membership.forget('one');
  assert.equal(membership.all().length, 2);
  clock.advance(1001);
  membership.heartbeat('two');
  await membership.forget('one');
  assert.deepEqual(
    membership.all().map(({ id }) => id),
    ['two'],
  );
});
