import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Logger } from '../../storage/host/logger.ts';
import { EtcdMembership, type EtcdMembershipOptions } from './etcd-membership.ts';
import type { NewMember } from './membership.ts';
import { MembershipRing } from './ring.ts';
import { FakeEtcd } from './testing/fake-etcd.ts';
import { SteppedClock, settle } from './testing/stepped-clock.ts';

const PERIOD_MS = 5000;
const TIMEOUT_MS = 60_000;

const member = (id: string, rest: Partial<NewMember> = {}): NewMember => ({
  id,
  address: `${id}:9095`,
  zone: '',
  state: 'ACTIVE',
  ...rest,
});

function setUp(t: TestContext) {
  const clock = new SteppedClock(1_000_000);
  const etcd = new FakeEtcd(clock);
  const logged: string[] = [];
  const log = (message: string): void => void logged.push(message);
  const logger: Logger = { debug: () => {}, info: log, warn: log, error: log, child: () => logger };
  const open = async (ring = 'ingester', more: Partial<EtcdMembershipOptions> = {}): Promise<EtcdMembership> => {
    const membership = new EtcdMembership({
      client: etcd,
      prefix: 'collectors/',
      ring,
      heartbeatPeriodMs: PERIOD_MS,
      heartbeatTimeoutMs: TIMEOUT_MS,
      dialTimeoutMs: 10_000,
      maxRetries: 10,
      clock,
      logger,
      ...more,
    });
    t.after(() => membership.stop());
    await membership.start();
    return membership;
  };
  /** Moves time in steps in which etcd ends leases. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 1000) {
      await clock.advance(Math.min(left, 1000));
      etcd.expire();
      await settle();
    }
  };
  return { clock, etcd, logged, open, pass };
}

const shown = (membership: EtcdMembership): string[] =>
  membership.all().map(({ id, state, healthy }) => `${id} ${healthy ? state : 'UNHEALTHY'}`);

test('members see each other come, change and leave', async (t) => {
  const { open, etcd } = setUp(t);
  const [one, two] = [await open(), await open()];
  let calls = 0;
  const end = two.onChange(() => calls++);
  await one.register(member('one', { zone: 'a', state: 'PENDING' }));
  await one.setState('one', 'ACTIVE');
  assert.deepEqual(shown(one), ['one ACTIVE']);
  await two.register(member('two'));
  assert.deepEqual(shown(one), ['one ACTIVE', 'two ACTIVE']);
  assert.deepEqual(shown(two), ['one ACTIVE', 'two ACTIVE']);
  const [first] = two.all();
  assert.deepEqual([first!.address, first!.zone, first!.registeredAtMs], ['one:9095', 'a', 1_000_000]);
  assert.equal(calls, 3);
  await one.setState('one', 'LEAVING');
  assert.deepEqual(two.healthy(), ['two']);
  await one.unregister('one');
  assert.deepEqual(shown(two), ['two ACTIVE']);
  assert.deepEqual(etcd.keys(), ['collectors/ingester/heartbeats/two', 'collectors/ingester/members/two']);
  end();
  await two.unregister('two');
  assert.equal(calls, 5);
});

test('rings of different names do not see each other', async (t) => {
  const { open } = setUp(t);
  const [ingesters, others] = [await open('ingester'), await open('ingester-2')];
  await others.register(member('one'));
  assert.deepEqual(shown(ingesters), []);
});

test('a member that comes back keeps the time of its registration', async (t) => {
  const { open, pass } = setUp(t);
  const before = await open();
  await before.register(member('one'));
  await before.stop();
  await pass(10_000);
  const after = await open();
  assert.deepEqual(shown(after), ['one UNHEALTHY']);
  await after.register(member('one', { address: 'elsewhere:1' }));
  assert.deepEqual(shown(after), ['one ACTIVE']);
  assert.deepEqual([after.all()[0]!.address, after.all()[0]!.registeredAtMs], ['elsewhere:1', 1_000_000]);
});

test('heartbeats write nothing while all is well', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const one = await open();
  await one.register(member('one'));
  const { version } = one;
  const { commits } = etcd;
  await pass(10 * TIMEOUT_MS);
  assert.deepEqual(shown(one), ['one ACTIVE']);
  assert.deepEqual([one.version, etcd.commits], [version, commits]);
});

test('a member whose lease has ended is skipped, stays known, and can be forgotten', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const [one, two] = [await open(), await open()];
  await one.register(member('one'));
  await two.register(member('two'));
  await two.stop();
  assert.deepEqual(shown(one), ['one ACTIVE', 'two UNHEALTHY']);
  assert.deepEqual(new MembershipRing(one).ingestersFor('k', 1), ['one']);
  await pass(10 * TIMEOUT_MS);
  assert.deepEqual(shown(one), ['one ACTIVE', 'two UNHEALTHY']);
  await one.forget('two');
  assert.deepEqual(shown(one), ['one ACTIVE']);
  assert.equal(etcd.keys().length, 2);
});

test('members that are unhealthy for long are forgotten where that is asked for', async (t) => {
  const { open, pass, logged } = setUp(t);
  const one = await open('ingester', { autoforgetMs: 10 * TIMEOUT_MS });
  const [two, three] = [await open(), await open()];
  await two.register(member('two'));
  await three.register(member('three'));
  await two.stop();
  await pass(10 * TIMEOUT_MS - PERIOD_MS);
  assert.deepEqual(shown(one), ['three ACTIVE', 'two UNHEALTHY']);
  await pass(2 * PERIOD_MS);
  assert.deepEqual(shown(one), ['three ACTIVE']);
  assert.deepEqual(logged, ['forgot a member that was unhealthy for long']);
});

test('a member that lives comes back when somebody forgets it', async (t) => {
  const { open, pass } = setUp(t);
  const [one, two] = [await open(), await open()];
  await one.register(member('one', { state: 'JOINING' }));
  await one.setState('one', 'ACTIVE');
  await two.forget('one');
  await pass(PERIOD_MS);
  assert.deepEqual(shown(two), ['one ACTIVE']);
  await one.forget('one');
  await pass(PERIOD_MS);
  assert.deepEqual(shown(two), ['one ACTIVE']);
});

for (const [how, breakIt] of [
  ['does not answer', (etcd: FakeEtcd) => etcd.freeze()],
  ['is gone', (etcd: FakeEtcd) => etcd.goDown()],
] as const) {
  test(`while etcd ${how}, members stay as they were; afterwards those that live come back and the dead are found`, async (t) => {
    const { open, pass, etcd, logged } = setUp(t);
    const [one, two, reader] = [await open(), await open(), await open()];
    await one.register(member('one'));
    await two.register(member('two'));
    const { version } = reader;
    breakIt(etcd);
    await pass(TIMEOUT_MS);
    await two.stop(); // it cannot say so
    await pass(3 * TIMEOUT_MS);
    for (const membership of [one, reader]) {
      assert.deepEqual(shown(membership), ['one ACTIVE', 'two ACTIVE']);
      assert.ok(!membership.hasContact);
    }
    assert.equal(reader.version, version);
    etcd.goUp();
    await pass(2 * PERIOD_MS);
    assert.ok(reader.hasContact);
    assert.deepEqual(shown(reader), ['one ACTIVE', 'two ACTIVE']);
    assert.deepEqual(etcd.keys(), [
      'collectors/ingester/heartbeats/one',
      'collectors/ingester/members/one',
      'collectors/ingester/members/two',
    ]);
    assert.equal(reader.version, version);
    await pass(TIMEOUT_MS);
    for (const membership of [one, reader]) assert.deepEqual(shown(membership), ['one ACTIVE', 'two UNHEALTHY']);
    // Once a membership and change, not at each try; `two` ended before it was over.
    const count = (text: string) => logged.filter((line) => line.startsWith(text)).length;
    assert.deepEqual([count('no contact with etcd'), count('contact with etcd is back')], [3, 2]);
  });
}

test('members come back to an etcd that has lost its data', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const [one, two] = [await open(), await open()];
  await one.register(member('one'));
  await two.register(member('two', { state: 'LEAVING' }));
  etcd.goDown();
  etcd.wipe();
  await pass(PERIOD_MS);
  etcd.goUp();
  await pass(4 * PERIOD_MS);
  assert.deepEqual(shown(one), ['one ACTIVE', 'two LEAVING']);
  assert.deepEqual(shown(two), ['one ACTIVE', 'two LEAVING']);
});

test('a member whose lease is gone without a word registers again', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const one = await open();
  await one.register(member('one'));
  etcd.silently(() => etcd.endLeases());
  assert.deepEqual(etcd.keys(), ['collectors/ingester/members/one']);
  await pass(PERIOD_MS);
  assert.deepEqual(etcd.keys(), ['collectors/ingester/heartbeats/one', 'collectors/ingester/members/one']);
});

test('a member that has just come back is not forgotten by somebody who does not know it yet', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const one = await open('ingester', { autoforgetMs: TIMEOUT_MS });
  etcd.put('collectors/ingester/members/two', JSON.stringify(record));
  await pass(TIMEOUT_MS / 2);
  etcd.silently(() => etcd.put('collectors/ingester/heartbeats/two', ''));
  await pass(TIMEOUT_MS);
  assert.deepEqual(shown(one), ['two UNHEALTHY']);
  assert.equal(etcd.keys().length, 2);
});

test('what a cancelled watch did not tell is loaded', async (t) => {
  const { open, pass, etcd } = setUp(t);
  const [one, two] = [await open(), await open()];
  await one.register(member('one'));
  await two.register(member('two'));
  etcd.silently(() => {
    etcd.delete('collectors/ingester/members/two');
    etcd.delete('collectors/ingester/heartbeats/two');
    etcd.put('collectors/ingester/members/one', JSON.stringify({ ...record, address: 'one:9095', state: 'LEAVING' }));
  });
  assert.deepEqual(shown(one), ['one ACTIVE', 'two ACTIVE']);
  etcd.cancelWatches();
  await pass(1000);
  assert.deepEqual(shown(one), ['one LEAVING', 'two ACTIVE']);
  assert.ok(etcd.keys().includes('collectors/ingester/members/two'), 'and two came back');
});

const record = { address: 'x:1', zone: '', state: 'ACTIVE', registeredAtMs: 1 };

test('what cannot be read in etcd is told and skipped', async (t) => {
  const { open, etcd, logged } = setUp(t);
  const broken: [id: string, value: string][] = [
    ['not-json', '{'],
    ['array', '[]'],
    ['no-address', JSON.stringify({ ...record, address: '' })],
    ['long', JSON.stringify({ ...record, zone: 'z'.repeat(10_000) })],
    ['state', JSON.stringify({ ...record, state: 'UNHEALTHY' })],
    ['control', JSON.stringify({ ...record, address: 'a\nb' })],
    ['time', JSON.stringify({ ...record, registeredAtMs: 1e300 })],
    ['__proto__', JSON.stringify(record)],
    ['', JSON.stringify(record)],
  ];
  for (const [id, value] of broken) etcd.put(`collectors/ingester/members/${id}`, value);
  etcd.put('collectors/ingester/other', 'of a newer version');
  etcd.put('collectors/ingester/members/good', JSON.stringify({ ...record, tokens: [1] }));
  const membership = await open();
  assert.deepEqual(shown(membership), ['good UNHEALTHY']);
  assert.equal(logged.length, broken.length);
  etcd.put('collectors/ingester/members/good', 'x');
  etcd.put('collectors/ingester/heartbeats/good', 'without a lease');
  assert.deepEqual(shown(membership), ['good UNHEALTHY']);
  assert.equal(logged.length, broken.length + 2);
  await assert.rejects(membership.register(member('__proto__')), TypeError);
  await assert.rejects(membership.register(member('one', { address: '' })), TypeError);
  await membership.register(member('one', { zone: 'Zürich 1' }));
  assert.deepEqual(shown(membership), ['good UNHEALTHY', 'one ACTIVE']);
});

test('a change is tried again until etcd takes it', async (t) => {
  const { open, etcd, pass } = setUp(t);
  const one = await open();
  etcd.goDown();
  const registered = one.register(member('one'));
  await pass(1000);
  etcd.goUp();
  await pass(5000);
  await registered;
  assert.deepEqual(shown(one), ['one ACTIVE']);
});

test('a change that etcd did not take in time is told, and made later', async (t) => {
  const { open, etcd, pass } = setUp(t);
  const one = await open();
  await one.register(member('one'));
  etcd.goDown();
  const leaving = assert.rejects(
    one.setState('one', 'LEAVING'),
    /^Error: etcd does not take a change of the ring ingester: 14 UNAVAIL/,
  );
  await pass(10_000);
  await leaving;
  etcd.goUp({ renews: true });
  await pass(2 * PERIOD_MS);
  assert.deepEqual(shown(one), ['one LEAVING']);
});

test('a change whose answer was lost is not taken for one of another process', async (t) => {
  const { open, etcd, pass, logged } = setUp(t);
  const one = await open();
  await one.register(member('one'));
  etcd.lostAnswers = 1;
  const changed = one.setState('one', 'LEAVING');
  await pass(1000);
  await changed;
  await one.setState('one', 'ACTIVE');
  assert.deepEqual(shown(one), ['one ACTIVE']);
  await one.unregister('one');
  assert.deepEqual([etcd.keys(), logged], [[], []]);
});

test('a process does not fight for its name with one that took it later', async (t) => {
  const { open, etcd, pass, logged } = setUp(t);
  const [old, young] = [await open(), await open()];
  await old.register(member('one', { address: 'old:1' }));
  await young.register(member('one', { address: 'young:1' }));
  await pass(2 * PERIOD_MS);
  const { version } = young;
  await old.setState('one', 'LEAVING');
  await old.unregister('one');
  await old.stop();
  await pass(2 * TIMEOUT_MS);
  assert.deepEqual(shown(young), ['one ACTIVE']);
  assert.deepEqual([young.all()[0]!.address, young.version], ['young:1', version]);
  assert.equal(etcd.keys().length, 2);
  assert.deepEqual(logged, ['another process has registered as the same member of the ring']);
});

test('the start fails in time and with the reason when etcd cannot be reached', async (t) => {
  const { open, etcd, clock, pass } = setUp(t);
  etcd.goDown();
  const startedMs = clock.nowMs();
  let endedMs = 0;
  const failed = assert.rejects(
    open().finally(() => (endedMs = clock.nowMs())),
    /^Error: etcd cannot be reached for the ring ingester: 14 UNAVAILABLE: connect ECONNREFUSED$/,
  );
  await pass(15_000);
  await failed;
  assert.ok(endedMs - startedMs <= 10_000);
});

test('the age of heartbeats is asked of etcd, and what is known is shown when it does not answer', async (t) => {
  const { open, etcd, pass, clock } = setUp(t);
  const [one, reader] = [await open(), await open()];
  await one.register(member('one'));
  await pass(10 * PERIOD_MS + 2000);
  const [seen] = await reader.withHeartbeats();
  const ageMs = clock.nowMs() - seen!.heartbeatAtMs;
  assert.ok(ageMs >= 0 && ageMs <= PERIOD_MS, String(ageMs));
  etcd.freeze();
  assert.deepEqual(
    (await reader.withHeartbeats()).map(({ id }) => id),
    ['one'],
  );
});
