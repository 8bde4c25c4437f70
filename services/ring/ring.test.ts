import assert from 'node:assert/strict';
import { test } from 'node:test';
import HashRing from 'hashring';
import { ManualClock } from '../distributor/testing/manual-clock.ts';
import { InMemoryMembership, MembershipRing, quorum, RingError } from './index.ts';
import type { NewMember } from './membership.ts';

const member = (id: string, rest: Partial<NewMember> = {}): NewMember => ({
  id,
  address: '',
  zone: '',
  state: 'ACTIVE',
  ...rest,
});

async function setUp(count: number, heartbeatTimeoutMs = 0) {
  const clock = new ManualClock(1000);
  const membership = new InMemoryMembership(clock, heartbeatTimeoutMs);
  for (let i = 0; i < count; i++) await membership.register(member(`ingester-${i}`));
  return { clock, membership, ring: new MembershipRing(membership) };
}

/** `perZone` members in each of the zones `a`, `b`, … */
async function setUpZones(zones: number, perZone: number) {
  const clock = new ManualClock(1000);
  const membership = new InMemoryMembership(clock, 60_000);
  for (let zone = 0; zone < zones; zone++) {
    for (let i = 0; i < perZone; i++) {
      const name = 'abcdef'[zone]!;
      await membership.register(member(`${name}-${i}`, { zone: name, address: `${name}${i}:9095` }));
    }
  }
  /** Only members whose id begins with one of these go on beating. */
  const onlyAlive = (...prefixes: string[]): void => {
    clock.advance(60_001);
    for (const { id } of membership.all())
      if (prefixes.some((prefix) => id.startsWith(prefix))) membership.heartbeat(id);
  };
  return { clock, membership, onlyAlive, ring: new MembershipRing(membership, { zoneAware: true }) };
}

const keysOf = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `tenant-${i % 7}{app="shop", pod="shop-${i}"}`);
const keys = keysOf(500);
const zoneOf = (id: string): string => id[0]!;

test('a stream has as many distinct members as it has replicas', async () => {
  const { ring } = await setUp(6);
  for (const key of keys) {
    const members = ring.ingestersFor(key, 3);
    assert.equal(new Set(members).size, 3);
    assert.deepEqual(ring.ingestersFor(key, 3), members);
  }
});

test('streams are placed as hashring places them', async () => {
  // Sizes for which it gives every member all of its points.
  for (const count of [2, 6, 30, 100]) {
    const { ring, membership } = await setUp(count);
    const judge = new HashRing([...membership.healthy()], 'md5');
    for (const key of keys) {
      assert.deepEqual(new Set(ring.ingestersFor(key, 2)), new Set(judge.range(key, 2)));
      assert.deepEqual(ring.ingestersFor(key, 1), judge.range(key, 1));
    }
  }
});

test('members do not depend on the order in which they joined', async () => {
  const { ring } = await setUp(4);
  const clock = new ManualClock(0);
  const reversed = new InMemoryMembership(clock);
  for (const i of [3, 1, 2, 0]) await reversed.register(member(`ingester-${i}`));
  const other = new MembershipRing(reversed);
  for (const key of keys) assert.deepEqual(other.ingestersFor(key, 2), ring.ingestersFor(key, 2));
});

test('streams are spread, and only those of a member that left move', async () => {
  const { ring, membership } = await setUp(6);
  const before = keys.map((key) => ring.ingestersFor(key, 1)[0]);
  for (let i = 0; i < 6; i++) assert.ok(before.filter((id) => id === `ingester-${i}`).length > 20);
  await membership.unregister('ingester-3');
  keys.forEach((key, i) => {
    const now = ring.ingestersFor(key, 1)[0];
    if (before[i] !== 'ingester-3') assert.equal(now, before[i]);
    else assert.notEqual(now, 'ingester-3');
  });
});

for (const count of [3, 6, 13, 30, 300]) {
  test(`of ${count} members, one more or one less moves its own part of the streams and no other`, async () => {
    const { ring, membership } = await setUp(count);
    const streams = keysOf(20_000);
    const place = (): (readonly string[])[] => streams.map((key) => ring.ingestersFor(key, 1));
    const moved = (
      before: readonly (readonly string[])[],
      after: readonly (readonly string[])[],
      id: string,
    ): number => {
      let changed = 0;
      before.forEach((members, i) => {
        if (members[0] === after[i]![0]) return;
        changed++;
        assert.ok(members[0] === id || after[i]![0] === id, `${members} became ${after[i]}`);
      });
      return changed / streams.length;
    };
    const before = place();
    await membership.register(member('newcomer'));
    const added = moved(before, place(), 'newcomer');
    assert.ok(added > 0.6 / (count + 1) && added < 1.4 / (count + 1), `${added} of ${count} moved to the new one`);
    await membership.unregister('newcomer');
    assert.deepEqual(place(), before);
    await membership.unregister('ingester-1');
    const lost = moved(before, place(), 'ingester-1');
    assert.ok(lost > 0.6 / count && lost < 1.4 / count, `${lost} of ${count} moved from the lost one`);
  });
}

test('the shares of the members add up to all, and none is far from the mean', async () => {
  for (const count of [1, 3, 30, 300]) {
    const { ring } = await setUp(count);
    const shares = [...ring.shares().values()];
    assert.equal(shares.length, count);
    assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-9);
    assert.ok(Math.min(...shares) > 0.7 / count && Math.max(...shares) < 1.35 / count);
  }
  assert.equal((await setUp(0)).ring.shares().size, 0);
});

test('only active members with a heartbeat get streams', async () => {
  const { ring, membership, clock } = await setUp(4, 60_000);
  await membership.setState('ingester-0', 'LEAVING');
  await membership.setState('ingester-1', 'JOINING');
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
  await membership.setState('ingester-9', 'ACTIVE');
  assert.equal(membership.all().length, 4);
});

test('less than a quorum is refused in Loki’s words', async () => {
  const { ring, membership } = await setUp(2);
  assert.throws(() => ring.ingestersFor('k', 5), new RingError('at least 3 live replicas required, could only find 2'));
  assert.equal(ring.ingestersFor('k', 3).length, 2);
  await membership.unregister('ingester-0');
  await membership.unregister('ingester-1');
  assert.throws(() => ring.ingestersFor('k', 1), new RingError('empty ring'));
});

test('the refusal names the members that are unhealthy', async () => {
  const { ring, onlyAlive } = await setUpZones(1, 3);
  onlyAlive('a-2');
  assert.throws(() => ring.ingestersFor('k', 3), {
    message:
      'at least 2 live replicas required across different availability zones, could only find 1' +
      ' - unhealthy instances: a0:9095,a1:9095',
  });
});

test('a ring that never had a member is empty', async () => {
  const { ring } = await setUp(0);
  assert.throws(() => ring.ingestersFor('k', 1), { message: 'empty ring' });
  assert.throws(() => ring.readSet(1), { message: 'empty ring' });
});

test('a member that is pending is not there yet', async () => {
  const { ring, membership } = await setUp(0);
  await membership.register(member('one', { state: 'PENDING' }));
  assert.throws(() => ring.ingestersFor('k', 1), { message: 'empty ring' });
  assert.throws(() => ring.readSet(1), { message: 'empty ring' });
});

test('a quorum is more than half', () => {
  assert.deepEqual([1, 2, 3, 4, 5].map(quorum), [1, 2, 2, 3, 3]);
});

test('with zones, replicas lie in different ones as far as there are zones', async () => {
  const cases: [zones: number, replicationFactor: number, inZones: number[]][] = [
    [3, 3, [1, 1, 1]],
    [5, 3, [1, 1, 1]],
    [2, 3, [1, 2]],
    [3, 4, [1, 1, 2]],
    [3, 5, [1, 2, 2]],
    [1, 3, [3]],
  ];
  for (const [zones, replicationFactor, expected] of cases) {
    const { ring } = await setUpZones(zones, 4);
    for (const key of keys) {
      const members = ring.ingestersFor(key, replicationFactor);
      assert.equal(new Set(members).size, replicationFactor);
      const counts = [...Map.groupBy(members, zoneOf).values()].map((ids) => ids.length);
      assert.deepEqual(counts.sort(), expected, members.join());
    }
  }
});

test('replicas of a zone that is down are left out, and put back when it returns', async () => {
  const { ring, onlyAlive, membership } = await setUpZones(3, 3);
  const before = keys.map((key) => ring.ingestersFor(key, 3));
  onlyAlive('a', 'b');
  keys.forEach((key, i) => {
    assert.deepEqual(
      ring.ingestersFor(key, 3),
      before[i]!.filter((id) => zoneOf(id) !== 'c'),
    );
  });
  onlyAlive('a');
  assert.throws(() => ring.ingestersFor('k', 3), {
    message: /^at least 2 live replicas required across different availability zones, could only find 1 - unhealthy/,
  });
  for (const { id } of membership.all()) membership.heartbeat(id);
  assert.deepEqual(
    keys.map((key) => ring.ingestersFor(key, 3)),
    before,
  );
});

test('with zones, one more member moves about its own part', async () => {
  const { ring, membership } = await setUpZones(3, 10);
  const streams = keysOf(5000);
  const before = streams.map((key) => ring.ingestersFor(key, 3));
  await membership.register(member('a-new', { zone: 'a' }));
  const moved = streams.filter((key, i) => !ring.ingestersFor(key, 3).every((id) => before[i]!.includes(id))).length;
  // One of eleven in its zone, where each stream has a replica.
  assert.ok(moved > (0.6 * streams.length) / 11 && moved < (1.4 * streams.length) / 11, String(moved));
});

test('a read asks all members that may hold lines, and may miss fewer than a quorum', async () => {
  const { ring, membership, clock } = await setUp(5, 60_000);
  await membership.setState('ingester-0', 'LEAVING');
  await membership.setState('ingester-1', 'JOINING');
  await membership.setState('ingester-2', 'PENDING');
  const set = ring.readSet(3);
  assert.deepEqual(
    set.members.map(({ id }) => id),
    ['ingester-0', 'ingester-1', 'ingester-3', 'ingester-4'],
  );
  assert.equal(set.maxFailures, 1);
  assert.ok(set.tolerates([]) && set.tolerates(set.members.slice(0, 1)));
  assert.ok(!set.tolerates(set.members.slice(0, 2)));
  clock.advance(60_001);
  for (const id of ['ingester-1', 'ingester-3', 'ingester-4']) membership.heartbeat(id);
  assert.deepEqual(
    ring.readSet(3).members.map(({ healthy }) => healthy),
    [false, true, true, true],
  );
  clock.advance(60_001);
  for (const id of ['ingester-3', 'ingester-4']) membership.heartbeat(id);
  assert.throws(() => ring.readSet(3), new RingError('too many unhealthy instances in the ring'));
});

test('replicas that were never there count as missing from a read', async () => {
  const tolerated = async (members: number, replicationFactor: number) =>
    (await setUp(members)).ring.readSet(replicationFactor).maxFailures;
  assert.deepEqual(
    [await tolerated(1, 1), await tolerated(2, 3), await tolerated(3, 3), await tolerated(9, 5)],
    [0, 0, 1, 2],
  );
  await assert.rejects(tolerated(1, 3), new RingError('too many unhealthy instances in the ring'));
});

test('with zones, any number of members of one zone may be missing from a read', async () => {
  const { ring, onlyAlive } = await setUpZones(3, 3);
  const set = ring.readSet(3);
  assert.equal(set.maxFailedZones, 1);
  const of = (...zones: string[]) => set.members.filter(({ id }) => zones.includes(zoneOf(id)));
  assert.ok(set.tolerates(of('b')));
  assert.ok(!set.tolerates([...of('a').slice(0, 1), ...of('b').slice(0, 1)]));
  onlyAlive('a', 'b');
  assert.ok(!ring.readSet(3).tolerates([...of('c'), ...of('a').slice(0, 1)]));
  onlyAlive('a');
  assert.throws(() => ring.readSet(3), new RingError('too many unhealthy instances in the ring'));
});

test('two zones hold two replicas of some streams in one, so none may be missing as a whole', async () => {
  const { ring } = await setUpZones(2, 3);
  const set = ring.readSet(3);
  assert.deepEqual([set.maxFailures, set.maxFailedZones], [1, 0]);
  assert.ok(set.tolerates(set.members.slice(0, 1)));
  assert.ok(!set.tolerates(set.members.slice(0, 2)));
});
