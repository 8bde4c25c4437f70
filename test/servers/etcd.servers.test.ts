import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Etcd3 } from 'etcd3';
import {
  createEtcdClient,
  type EtcdClient,
  EtcdMembership,
  type EtcdMembershipOptions,
  type EtcdOptions,
  type Membership,
  MembershipRing,
  type NewMember,
} from '../../services/ring/index.ts';
import { testEtcdClient } from '../../services/ring/testing/etcd-contract.ts';
import { systemClock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { until } from '../harness/client.ts';
import { Daemon } from './daemon.ts';
import { TestEtcd } from './etcd.ts';

const LEASE_MS = 2000;

const member = (id: string, rest: Partial<NewMember> = {}): NewMember => ({
  id,
  address: `${id}:9095`,
  zone: '',
  state: 'ACTIVE',
  ...rest,
});

const shown = (membership: Membership): string[] =>
  membership.all().map(({ id, state, healthy }) => `${id} ${healthy ? state : 'UNHEALTHY'}`);
const shows = (membership: Membership, ...expected: string[]) =>
  until(
    `${expected.join(', ')} instead of ${shown(membership).join(', ')}`,
    () => expected.join() === shown(membership).join(),
  );

describe('a ring in etcd', () => {
  let etcd: TestEtcd;
  let client: EtcdClient;
  let prefix = '';
  let tests = 0;
  const logged: string[] = [];
  const opened: EtcdMembership[] = [];
  const log = (message: string): void => void logged.push(message);
  const logger: Logger = { debug: () => {}, info: log, warn: log, error: log, child: () => logger };

  const made = (more: Partial<EtcdMembershipOptions> = {}): EtcdMembership => {
    const membership = new EtcdMembership({
      client,
      prefix,
      ring: 'ingester',
      heartbeatPeriodMs: 500,
      heartbeatTimeoutMs: LEASE_MS,
      dialTimeoutMs: 5000,
      maxRetries: 10,
      clock: systemClock,
      logger,
      ...more,
    });
    opened.push(membership);
    return membership;
  };
  const open = async (more: Partial<EtcdMembershipOptions> = {}): Promise<EtcdMembership> => {
    const membership = made(more);
    await membership.start();
    return membership;
  };

  before(async () => {
    etcd = await TestEtcd.start();
    client = await createEtcdClient({ endpoints: [etcd.endpoint], dialTimeoutMs: 5000 });
  });
  beforeEach(async () => {
    for (const membership of opened.splice(0)) await membership.stop();
    logged.length = 0;
    prefix = `test-${tests++}/`;
  });
  after(async () => {
    for (const membership of opened) await membership.stop();
    client?.close();
    await etcd?.stop();
  });

  testEtcdClient(
    async () => ({ client, prefix }),
    async (ms, isThere) => {
      const startedMs = Date.now();
      await until(`${ms} ms and what belongs to them`, () => Date.now() - startedMs >= ms && isThere());
    },
  );

  it('shows who comes, changes and leaves', async () => {
    const [one, two] = [await open(), await open()];
    await one.register(member('one', { zone: 'a', state: 'JOINING' }));
    await two.register(member('two', { zone: 'b' }));
    assert.deepEqual(shown(two), ['one JOINING', 'two ACTIVE']);
    await shows(one, 'one JOINING', 'two ACTIVE');
    await one.setState('one', 'ACTIVE');
    await shows(two, 'one ACTIVE', 'two ACTIVE');
    const late = await open();
    assert.deepEqual(
      late.all().map(({ id, address, zone }) => [id, address, zone]),
      [
        ['one', 'one:9095', 'a'],
        ['two', 'two:9095', 'b'],
      ],
    );
    await one.unregister('one');
    await shows(two, 'two ACTIVE');
    const [seen] = await two.withHeartbeats();
    assert.ok(Math.abs(Date.now() - seen!.heartbeatAtMs) < 5000);
    assert.deepEqual(logged, []);
  });

  it('skips a member whose process stands still or was killed, until it is there again or forgotten', async () => {
    const one = await open();
    await one.register(member('one'));
    const directory = await mkdtemp(join(tmpdir(), 'loptr-member-'));
    const args = [join(import.meta.dirname, 'etcd-member.ts'), etcd.endpoint, prefix, 'two'];
    const start = () => Daemon.start(process.execPath, args, join(directory, 'out'));
    let two = await start();
    try {
      await shows(one, 'one ACTIVE', 'two ACTIVE');
      two.signal('SIGSTOP');
      await shows(one, 'one ACTIVE', 'two UNHEALTHY');
      two.signal('SIGCONT');
      await shows(one, 'one ACTIVE', 'two ACTIVE');
      const killedMs = Date.now();
      await two.stop('SIGKILL');
      await shows(one, 'one ACTIVE', 'two UNHEALTHY');
      assert.ok(Date.now() - killedMs < 3 * LEASE_MS);
      assert.deepEqual(new MembershipRing(one).ingestersFor('k', 1), ['one']);
      two = await start();
      await shows(one, 'one ACTIVE', 'two ACTIVE');
      await one.forget('two');
      // It lives, so it comes back.
      await until('two again', () => one.all().length === 1 || undefined);
      await shows(one, 'one ACTIVE', 'two ACTIVE');
      await two.stop('SIGKILL');
      await shows(one, 'one ACTIVE', 'two UNHEALTHY');
      await one.forget('two');
      assert.deepEqual(shown(one), ['one ACTIVE']);
    } finally {
      await two.stop('SIGKILL');
      await rm(directory, { recursive: true });
    }
  });

  /** What every outage must look like from inside. */
  const survives = async (begin: () => unknown, end: () => unknown): Promise<void> => {
    const memberships = await Promise.all(['one', 'two', 'three'].map(() => open()));
    await Promise.all(memberships.map((membership, i) => membership.register(member(['one', 'two', 'three'][i]!))));
    const [one, two, three] = memberships as [EtcdMembership, EtcdMembership, EtcdMembership];
    const reader = await open();
    const all = ['one ACTIVE', 'three ACTIVE', 'two ACTIVE'];
    for (const membership of [...memberships, reader]) await shows(membership, ...all);
    const judged: string[] = [];
    for (const membership of [...memberships, reader]) membership.onChange(() => judged.push(shown(membership).join()));
    await begin();
    const outOfSightMs = Date.now();
    await until('nobody has contact', () => [...memberships, reader].every((membership) => !membership.hasContact));
    await until('the leases are over', () => Date.now() - outOfSightMs > 2 * LEASE_MS);
    for (const membership of [...memberships, reader]) assert.deepEqual(shown(membership), all);
    await end();
    await until('all have contact', () => [...memberships, reader].every((membership) => membership.hasContact));
    const backMs = Date.now();
    await until('the grace is over', () => Date.now() - backMs > 2 * LEASE_MS);
    for (const membership of [...memberships, reader]) assert.deepEqual(shown(membership), all);
    assert.deepEqual(judged, [], 'nobody was taken for dead in between');
    assert.equal(logged.filter((text) => text.startsWith('no contact with etcd')).length, 4);
    // And it works as before.
    await two.setState('two', 'LEAVING');
    await one.unregister('one');
    for (const membership of [three, reader]) await shows(membership, 'three ACTIVE', 'two LEAVING');
    await three.stop();
    await shows(reader, 'three UNHEALTHY', 'two LEAVING');
  };

  it('keeps its members while etcd stands still for longer than their leases', () =>
    survives(
      () => etcd.freeze(),
      () => etcd.thaw(),
    ));

  it('keeps its members while etcd is away, and over its restart', () =>
    survives(
      () => etcd.kill(),
      () => etcd.run(),
    ));

  it('is whole again after etcd has lost its data', async () => {
    const [one, reader] = [await open(), await open()];
    await one.register(member('one'));
    await shows(reader, 'one ACTIVE');
    await etcd.kill();
    await etcd.loseData();
    await etcd.run();
    await until('both have contact', () => one.hasContact && reader.hasContact);
    const probe = await open();
    await shows(probe, 'one ACTIVE');
    await shows(reader, 'one ACTIVE');
    await one.setState('one', 'LEAVING');
    await shows(reader, 'one LEAVING');
  });

  it('misses nothing when etcd has compacted what happened during an outage', async () => {
    const [one, reader] = [await open(), await open()];
    await one.register(member('one'));
    await shows(reader, 'one ACTIVE');
    await etcd.kill();
    await until('the reader is alone', () => !reader.hasContact);
    const raw = new Etcd3({ hosts: etcd.endpoint });
    try {
      await etcd.run();
      await raw.delete().prefix(`${prefix}ingester/`);
      const { header } = await raw.put(`${prefix}elsewhere`).value('x');
      await raw.kv.compact({ revision: header.revision, physical: true });
    } finally {
      raw.close();
    }
    await shows(reader, 'one ACTIVE');
    await one.unregister('one');
    await shows(reader);
  });

  it('follows 300 members in one watch', async () => {
    const count = 300;
    const reader = await open();
    const raw = new Etcd3({ hosts: etcd.endpoint });
    const lease = raw.lease(30);
    try {
      const value = JSON.stringify({ address: 'a:1', zone: '', state: 'ACTIVE', registeredAtMs: 1 });
      await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          await lease.put(`${prefix}ingester/heartbeats/ingester-${i}`).value('');
          await raw.put(`${prefix}ingester/members/ingester-${i}`).value(value);
        }),
      );
      await until('all members', () => reader.healthy().length === count);
      const late = await open();
      assert.equal(late.healthy().length, count);
      assert.equal(new MembershipRing(late).shares().size, count);
      assert.ok((await late.withHeartbeats()).every(({ heartbeatAtMs }) => Date.now() - heartbeatAtMs < 20_000));
      await lease.revoke();
      await until('nobody is healthy', () => reader.healthy().length === 0);
      assert.equal(reader.all().length, count);
    } finally {
      lease.release();
      raw.close();
    }
  });

  it('says in time that etcd cannot be reached', async () => {
    const other = await createEtcdClient({ endpoints: ['127.0.0.1:1'], dialTimeoutMs: 500 });
    try {
      const startedMs = Date.now();
      await assert.rejects(made({ client: other, dialTimeoutMs: 500 }).start(), /etcd cannot be reached.*ECONNREFUSED/);
      assert.ok(Date.now() - startedMs < 3000);
    } finally {
      other.close();
    }
  });

  /** A ring over a connection of its own. */
  const works = async (options: Omit<EtcdOptions, 'dialTimeoutMs'>): Promise<void> => {
    const own = await createEtcdClient({ ...options, dialTimeoutMs: 2000 });
    try {
      const membership = made({ client: own, dialTimeoutMs: 1000 });
      await membership.start();
      await membership.register(member('one'));
      assert.deepEqual(shown(membership), ['one ACTIVE']);
      await membership.stop();
    } finally {
      own.close();
    }
  };

  it('finds the server of etcd that answers, and judges members as if all did', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => {}))); // says nothing at all
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const endpoints = ['127.0.0.1:1', `127.0.0.1:${port}`, etcd.endpoint];
    const own = await createEtcdClient({ endpoints, dialTimeoutMs: 5000 });
    try {
      const times = { heartbeatTimeoutMs: 2 * LEASE_MS, dialTimeoutMs: 10_000 };
      const one = await open({ client: own, ...times });
      await one.register(member('one'));
      const two = await open(times);
      await two.register(member('two'));
      await shows(one, 'one ACTIVE', 'two ACTIVE');
      logged.length = 0; // it may have lost contact while it was looking for the server
      await two.stop();
      await shows(one, 'one ACTIVE', 'two UNHEALTHY');
      const startedMs = Date.now();
      await until('some heartbeats', () => Date.now() - startedMs > 2 * times.heartbeatTimeoutMs);
      assert.deepEqual([shown(one), logged], [['one ACTIVE', 'two UNHEALTHY'], []]);
      await one.stop();
    } finally {
      own.close();
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });

  it('goes on while one of three servers of etcd stands still, whichever it is', async () => {
    const servers = await TestEtcd.startCluster(3);
    const endpoints = servers.map(({ endpoint }) => endpoint);
    const clients = await Promise.all([0, 1].map(() => createEtcdClient({ endpoints, dialTimeoutMs: 5000 })));
    try {
      const times = { heartbeatTimeoutMs: 3 * LEASE_MS, dialTimeoutMs: 10_000 };
      const [one, two] = await Promise.all(clients.map((own) => open({ client: own, ...times })));
      await one!.register(member('one'));
      await two!.register(member('two'));
      for (const [i, server] of servers.entries()) {
        server.freeze();
        await one!.setState('one', i % 2 === 0 ? 'LEAVING' : 'ACTIVE');
        await shows(two!, `one ${i % 2 === 0 ? 'LEAVING' : 'ACTIVE'}`, 'two ACTIVE');
        await until('contact', () => one!.hasContact && two!.hasContact);
        server.thaw();
      }
      await two!.unregister('two');
      await shows(one!, 'one LEAVING');
      for (const membership of [one!, two!]) await membership.stop();
    } finally {
      for (const own of clients) own.close();
      for (const server of servers) await server.stop();
    }
  });

  it('talks TLS, and checks the name in the certificate', async () => {
    const secure = await TestEtcd.start({ tls: true });
    try {
      const endpoints = [secure.endpoint.replace('https://', '')];
      const { caPath } = secure;
      await works({ endpoints, tls: { caPath } });
      await works({ endpoints, tls: { caPath, serverName: 'etcd.test' } });
      await works({ endpoints, tls: { insecureSkipVerify: true, serverName: 'other.test' } });
      await assert.rejects(works({ endpoints, tls: { caPath, serverName: 'other.test' } }), /does not match.*altnames/);
      await assert.rejects(
        works({ endpoints: [endpoints[0]!.replace('127.0.0.1', 'localhost')], tls: { caPath } }),
        /does not match.*altnames/,
      );
      await assert.rejects(works({ endpoints, tls: {} }), /self-signed certificate/);
    } finally {
      await secure.stop();
    }
  });

  it('signs in over TLS', async () => {
    const guarded = await TestEtcd.start({ tls: true, rootPassword: 'secret' });
    try {
      const { caPath } = guarded;
      await works({ endpoints: [guarded.endpoint], tls: { caPath }, username: 'root', password: 'secret' });
    } finally {
      await guarded.stop();
    }
  });

  it('signs in, and again when etcd has forgotten that', async () => {
    const guarded = await TestEtcd.start({ rootPassword: 'secret' });
    try {
      const endpoints = [guarded.endpoint];
      await assert.rejects(works({ endpoints }), /etcd cannot be reached.*user name is empty/);
      await assert.rejects(works({ endpoints, username: 'root', password: 'wrong' }), /authentication failed/);
      const own = await createEtcdClient({ endpoints, username: 'root', password: 'secret', dialTimeoutMs: 2000 });
      try {
        const membership = await open({ client: own });
        await membership.register(member('one'));
        await guarded.kill();
        await until('no contact', () => !membership.hasContact);
        await guarded.run();
        await until('contact', () => membership.hasContact);
        await membership.setState('one', 'LEAVING');
        assert.deepEqual(shown(membership), ['one LEAVING']);
        await membership.stop();
      } finally {
        own.close();
      }
    } finally {
      await guarded.stop();
    }
  });
});
