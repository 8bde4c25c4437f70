import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '../../storage/host/logger.ts';
import { MemberTable, RingKeys } from './member-table.ts';
import { SteppedClock } from './testing/stepped-clock.ts';

const GRACE_MS = 60_000;

function setUp() {
  const clock = new SteppedClock(1_000_000);
  const keys = new RingKeys('collectors/', 'ingester');
  const table = new MemberTable(keys, GRACE_MS, clock, silentLogger);
  let revision = 0;
  const item = (key: string, value: string, lease: string) => ({
    key,
    value: Buffer.from(value),
    revision: ++revision,
    lease,
  });
  const record = (id: string) =>
    item(keys.member(id), JSON.stringify({ address: 'a:1', zone: '', state: 'ACTIVE', registeredAtMs: 1 }), '0');
  const heartbeat = (id: string) => item(keys.heartbeat(id), '', `lease of ${id}`);
  const gone = (key: string) => ({ key, value: undefined, revision: ++revision, lease: '0' });
  const first = { one: record('one'), two: record('two') };
  table.replace([first.one, heartbeat('one'), first.two, heartbeat('two')]);
  return { clock, keys, table, first, record, heartbeat, gone };
}

test('a heartbeat that ends while there is contact makes its member unhealthy at once', () => {
  const { table, keys, gone, heartbeat } = setUp();
  const { version } = table;
  table.apply([gone(keys.heartbeat('one'))]);
  assert.deepEqual(table.healthy(), ['two']);
  assert.equal(table.version, version + 1);
  table.apply([heartbeat('one')]);
  assert.deepEqual(table.healthy(), ['one', 'two']);
});

test('a member that has started again shows by the time of its heartbeat, one that goes on does not', async () => {
  const { table, keys, heartbeat, clock } = setUp();
  const timeOf = (id: string) => table.all().find((member) => member.id === id)!.heartbeatAtMs;
  const before = timeOf('one');
  await clock.advance(1000);
  table.apply([heartbeat('one')]);
  assert.equal(timeOf('one'), before);
  table.apply([{ key: keys.heartbeat('one'), value: Buffer.alloc(0), revision: 99, lease: 'another lease of one' }]);
  assert.equal(timeOf('one'), before + 1000);
});

test('members that etcd has lost are what they were until they are back, and forgotten when they do not come', async () => {
  const { table, record, heartbeat, keys, gone, clock } = setUp();
  const states = () => table.all().map(({ id, healthy }) => `${id} ${healthy ? 'healthy' : 'away'}`);
  table.lostContact();
  table.replace([record('two'), heartbeat('two')]);
  table.hasContactAgain();
  assert.deepEqual(states(), ['one healthy', 'two healthy']);
  assert.deepEqual(table.healthy(), ['one', 'two']);
  table.apply([heartbeat('one'), record('one')]);
  assert.deepEqual(states(), ['one healthy', 'two healthy']);

  table.lostContact();
  table.replace([]);
  table.hasContactAgain();
  table.apply([gone(keys.heartbeat('one'))]);
  assert.deepEqual(states(), ['one healthy', 'two healthy']);
  const two = record('two');
  table.apply([two, heartbeat('two')]);
  table.lostContact();
  table.replace([two, heartbeat('two')]);
  table.hasContactAgain();
  await clock.advance(GRACE_MS - 1);
  const { version } = table;
  assert.deepEqual(states(), ['one healthy', 'two healthy']);
  await clock.advance(1);
  assert.equal(table.version, version + 1);
  assert.deepEqual(states(), ['two healthy']);
});

test('a member that etcd has lost is gone at once when somebody removes it', () => {
  const { table, record, heartbeat, keys, gone } = setUp();
  table.lostContact();
  table.replace([record('two'), heartbeat('two')]);
  table.hasContactAgain();
  table.apply([gone(keys.member('one'))]);
  assert.deepEqual(
    table.all().map(({ id }) => id),
    ['two'],
  );
});

test('a heartbeat that ends shortly after an outage is waited for', async () => {
  const { table, keys, gone, heartbeat, clock } = setUp();
  table.lostContact();
  await clock.advance(10 * GRACE_MS);
  table.hasContactAgain();
  const { version } = table;
  table.apply([gone(keys.heartbeat('one')), gone(keys.heartbeat('two'))]);
  await clock.advance(GRACE_MS - 1);
  assert.deepEqual(table.healthy(), ['one', 'two']);
  table.apply([heartbeat('two')]);
  assert.equal(table.version, version);
  await clock.advance(1);
  assert.deepEqual(table.healthy(), ['two']);
  assert.equal(table.version, version + 1);
  table.apply([gone(keys.heartbeat('two'))]);
  assert.deepEqual(table.healthy(), []);
});

test('who is waited for is not judged in the next outage either', async () => {
  const { table, keys, gone, clock } = setUp();
  table.lostContact();
  table.apply([gone(keys.heartbeat('one'))]);
  table.hasContactAgain();
  await clock.advance(GRACE_MS / 2);
  table.lostContact();
  await clock.advance(GRACE_MS);
  assert.deepEqual(table.healthy(), ['one', 'two']);
  table.hasContactAgain();
  await clock.advance(GRACE_MS - 1);
  assert.deepEqual(table.healthy(), ['one', 'two']);
  await clock.advance(1);
  assert.deepEqual(table.healthy(), ['two']);
});

test('who is removed in an outage is gone, who was unhealthy stays so', () => {
  const { table, keys, gone, first, record, heartbeat } = setUp();
  table.apply([gone(keys.heartbeat('one'))]);
  table.lostContact();
  const three = record('three');
  table.replace([first.one, three]);
  assert.deepEqual(
    table.all().map(({ id, healthy }) => [id, healthy]),
    [
      ['one', false],
      ['three', false],
    ],
  );
  table.replace([three, heartbeat('four')]);
  assert.deepEqual(
    table.all().map(({ id }) => id),
    ['three'],
  );
  table.apply([record('four')]);
  assert.deepEqual(table.healthy(), ['four']);
});

test('how long a member has been unhealthy is known', async () => {
  const { table, keys, gone, clock } = setUp();
  table.apply([gone(keys.heartbeat('one'))]);
  await clock.advance(999);
  assert.deepEqual(table.unhealthyFor(1000), []);
  await clock.advance(1);
  assert.deepEqual(
    table.unhealthyFor(1000).map(({ id }) => id),
    ['one'],
  );
});

test('the same values again change nothing', () => {
  const { table, record, heartbeat } = setUp();
  const { version } = table;
  let calls = 0;
  table.onChange(() => calls++);
  table.apply([record('one'), heartbeat('one')]);
  table.replace([record('one'), heartbeat('one'), record('two'), heartbeat('two')]);
  assert.deepEqual([table.version, calls], [version, 0]);
});
