import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../distributor/testing/manual-clock.ts';
import { InMemoryMembership, MembershipRing, quorum, RingError } from './index.ts';

function setUp(count: number, heartbeatTimeoutMs = 0) {
  const clock = new ManualClock(1000);
  const membership = new InMemoryMembership(clock, heartbeatTimeoutMs);
  for (let i = 0; i < count; i++) membership.register(`ingester-${i}`);
  return { clock, membership, ring: new MembershipRing(membership) };
}
const keys = Array.from({ length: 500 }, (_, i) => `T{app="${i}"}`);

test('a stream has as many distinct members as it has replicas', () => {
  const { ring } = setUp(6);
  for (const key of keys) {
    const members = ring.ingestersFor(key, 3);
    assert.equal(new Set(members).size, 3);
    assert.deepEqual(ring.ingestersFor(key, 3), members);
  }
});

test('members do not depend on the order in which they joined', () => {
  const { ring } = setUp(4);
  const clock = new ManualClock(0);
  const reversed = new InMemoryMembership(clock);
  for (const i of [3, 1, 2, 0]) reversed.register(`ingester-${i}`);
  const other = new MembershipRing(reversed);
  for (const key of keys) assert.deepEqual(other.ingestersFor(key, 2), ring.ingestersFor(key, 2));
});

test('streams are spread, and only those of a member that left move', () => {
  const { ring, membership } = setUp(6);
  const before = keys.map((key) => ring.ingestersFor(key, 1)[0]);
  for (let i = 0; i < 6; i++) assert.ok(before.filter((id) => id === `ingester-${i}`).length > 20);
  membership.unregister('ingester-3');
  keys.forEach((key, i) => {
    const now = ring.ingestersFor(key, 1)[0];
    if (before[i] !== 'ingester-3') assert.equal(now, before[i]);
    else assert.notEqual(now, 'ingester-3');
  });
});

test('only active members with a heartbeat get streams', () => {
  const { ring, membership, clock } = setUp(4, 60_000);
  membership.setState('ingester-0', 'LEAVING');
  membership.setState('ingester-1', 'JOINING');
  assert.deepEqual(ring.ingestersFor('k', 3), ['ingester-2', 'ingester-3']);
  clock.advance(60_001);
  membership.heartbeat('ingester-3');
  assert.deepEqual(ring.ingestersFor('k', 1), ['ingester-3']);
  const status = membership.all().map(({ id, state, healthy }) => [id, state, healthy]);
  assert.deepEqual(status, [
    ['ingester-0', 'LEAVING', false],
    ['ingester-1', 'JOINING', false],
    ['ingester-2', 'ACTIVE', false],
    ['ingester-3', 'ACTIVE', true],
  ]);
  membership.heartbeat('ingester-9');
  assert.equal(membership.all().length, 4);
});

test('less than a quorum is refused in Loki’s words', () => {
  const { ring, membership } = setUp(2);
  assert.throws(() => ring.ingestersFor('k', 5), new RingError('at least 3 live replicas required, could only find 2'));
  assert.equal(ring.ingestersFor('k', 3).length, 2);
  membership.unregister('ingester-0');
  membership.unregister('ingester-1');
  assert.throws(() => ring.ingestersFor('k', 1), new RingError('empty ring'));
});

test('a ring that never had a member is empty', () => {
  assert.throws(() => setUp(0).ring.ingestersFor('k', 1), { message: 'empty ring' });
});

test('a quorum is more than half', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(quorum), [1, 2, 2, 3, 3]);
});

test('the version grows with health, not with heartbeats', () => {
  const { membership, clock } = setUp(2, 1000);
  const first = membership.version;
  membership.heartbeat('ingester-0');
  assert.equal(membership.version, first);
  clock.advance(1001);
  assert.ok(membership.version > first);
});
