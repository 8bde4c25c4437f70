import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Labels } from '../../logql/labels.ts';
import type { MemberStatus, ReadSet } from '../ring/index.ts';
import { RingError } from '../ring/index.ts';
import type { IngesterClient, RecentStream } from '../rpc/ingester.ts';
import { ingesterOf } from '../rpc/testing/ingester-of.ts';
import { IngesterSet, type IngesterSetOptions } from './ingester-set.ts';
import { ManualClock, settled } from './testing/manual-clock.ts';

const request = { tenant: 'a', matchers: [], startNs: 0n, endNs: 100n };
const TOO_MANY = { code: 'ring_unavailable', message: 'too many unhealthy instances in the ring' };

/** What a fake ingester does with a question. */
type Behaviour = 'answers' | 'fails' | 'hangs';

interface Fake {
  readonly id: string;
  readonly zone?: string;
  readonly healthy?: boolean;
  behaviour?: Behaviour;
}

function setUp(
  fakes: Fake[],
  rules: { failures?: number; zones?: number } = {},
  more: Partial<IngesterSetOptions> = {},
) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const cancelled: string[] = [];
  const clients = new Map(
    fakes.map((fake) => [
      fake.id,
      ingesterOf(async (_, signal) => {
        asked.push(fake.id);
        const labels: Labels = [['from', fake.id]];
        const answer: RecentStream[] = [{ labels, blocks: [], heads: [] }];
        if (fake.behaviour === 'fails') throw new Error(`${fake.id} is broken`);
        if (fake.behaviour !== 'hangs') return answer;
        return new Promise((_, reject) => {
          signal?.addEventListener('abort', () => {
            cancelled.push(fake.id);
            reject(signal.reason as Error);
          });
        });
      }, fake.id),
    ]),
  );
  const members = () =>
    fakes.map(
      ({ id, zone = '', healthy = true }): MemberStatus => ({
        id,
        zone,
        healthy,
        address: '',
        state: 'ACTIVE',
        registeredAtMs: 0,
        heartbeatAtMs: 0,
      }),
    );
  const { failures = 1, zones = 0 } = rules;
  const tolerates = (failed: Iterable<MemberStatus>): boolean => {
    const list = [...failed];
    return list.length <= failures || new Set(list.map(({ zone }) => zone)).size <= zones;
  };
  const readSet = (): ReadSet => {
    const all = members();
    if (!tolerates(all.filter(({ healthy }) => !healthy))) throw new RingError(TOO_MANY.message);
    return { members: all, maxFailures: failures, maxFailedZones: zones, tolerates };
  };
  const set = new IngesterSet({
    readSet,
    members,
    client: (id) => clients.get(id) ?? null,
    isReplicated: true,
    clock,
    random: () => 0.99, // the order of the ids
    ...more,
  });
  const from = async (signal?: AbortSignal): Promise<string[]> =>
    (await set.series(request, signal)).map((labels) => labels[0]![1]);
  return { set, clock, asked, cancelled, clients, from };
}

const three = (...behaviours: (Behaviour | undefined)[]): Fake[] =>
  behaviours.map((behaviour, i) => ({ id: `i${i}`, ...(behaviour && { behaviour }) }));

describe('a set of ingesters', () => {
  it('asks no more of them than a complete answer needs', async () => {
    const { from, asked, clock } = setUp(three('answers', 'answers', 'answers'));
    assert.equal((await from()).length, 2);
    assert.equal(asked.length, 2);
    assert.equal(clock.sleepers, 0, 'nothing is left behind');
  });

  it('answers in the order of ids, whoever is asked first', async () => {
    for (const random of [() => 0, () => 0.3, () => 0.6, () => 0.99]) {
      const { from } = setUp(three('answers', 'answers', 'answers'), {}, { random });
      const found = await from();
      assert.deepEqual(found, [...found].sort());
    }
  });

  it('goes on without one that fails', async () => {
    for (const broken of [0, 1, 2]) {
      const fakes = three('answers', 'answers', 'answers');
      fakes[broken]!.behaviour = 'fails';
      const { from } = setUp(fakes);
      const others = fakes.filter((_, i) => i !== broken).map(({ id }) => id);
      assert.deepEqual(await from(), others);
    }
  });

  it('goes on without one that hangs, after a moment, and cancels its question', async () => {
    const { from, clock, cancelled } = setUp(three('hangs', 'answers', 'answers'), {}, { random: () => 0 });
    const found = from();
    await clock.pass(99);
    await clock.pass(1);
    assert.deepEqual(await found, ['i1', 'i2']);
    assert.deepEqual(cancelled, ['i0']);
  });

  it('goes on without a spare one that has left the ring since the question began', async () => {
    const { from, clock, clients, asked } = setUp(three('answers', 'answers', 'answers'));
    const slow = Promise.withResolvers<RecentStream[]>();
    clients.set(
      'i1',
      ingesterOf(() => slow.promise, 'i1'),
    );
    const found = from();
    assert.deepEqual(asked, ['i2'], 'the first one is spared');
    clients.delete('i0');
    await clock.pass(100);
    slow.resolve([{ labels: [['from', 'i1']], blocks: [], heads: [] }]);
    assert.deepEqual(await found, ['i1', 'i2']);
  });

  it('fails when one fails and the spare one has left the ring meanwhile, or cannot be asked', async () => {
    const left = setUp(three('answers', 'fails', 'answers'));
    const found = left.from();
    left.clients.delete('i0');
    await assert.rejects(found, TOO_MANY);
    const throws = (): never => {
      throw new Error('no way there');
    };
    const broken = setUp(three('answers', 'fails', 'answers'));
    broken.clients.set('i0', ingesterOf(throws, 'i0'));
    await assert.rejects(broken.set.recent(request), /no way there/);
  });

  it('fails with the error of the one that was one too many', async () => {
    const { from } = setUp(three('fails', 'fails', 'answers'));
    await assert.rejects(from(), /i[01] is broken/);
    await assert.rejects(setUp(three('answers', 'fails'), { failures: 0 }).from(), /i1 is broken/);
  });

  it('fails at once when too many are unhealthy, or cannot be reached', async () => {
    const unhealthy = three('answers', 'answers', 'answers').map((fake, i) => ({ ...fake, healthy: i === 2 }));
    const { from, asked } = setUp(unhealthy);
    await assert.rejects(from(), TOO_MANY);
    assert.deepEqual(asked, []);
    const unreachable = setUp(three('answers', 'answers', 'answers'), {}, { client: () => null });
    await assert.rejects(unreachable.from(), TOO_MANY);
  });

  it('does not ask who is unhealthy, and then needs all others', async () => {
    const fakes = three('answers', 'answers', 'answers').map((fake, i) => ({ ...fake, healthy: i !== 1 }));
    const { from, asked } = setUp(fakes);
    assert.deepEqual(await from(), ['i0', 'i2']);
    assert.deepEqual(asked.sort(), ['i0', 'i2']);
  });

  it('may miss a whole zone, however many ingesters it has', async () => {
    const fakes: Fake[] = ['a', 'a', 'b', 'b', 'c', 'c'].map((zone, i) => ({ id: `i${i}`, zone }));
    const calm = setUp(fakes, { zones: 1 });
    assert.equal((await calm.from()).length, 4);
    assert.equal(calm.asked.length, 4);
    for (const zone of ['a', 'b', 'c']) {
      const broken = fakes.map((fake) => ({
        ...fake,
        ...(fake.zone === zone && { behaviour: 'fails' as const }),
      }));
      assert.deepEqual(
        (await setUp(broken, { zones: 1 }).from()).filter((id) => fakes.find((f) => f.id === id)!.zone !== zone).length,
        4,
      );
    }
    const two = fakes.map((fake, i) => (i === 0 || i === 2 ? { ...fake, behaviour: 'fails' as const } : fake));
    await assert.rejects(setUp(two, { zones: 1 }).from(), /is broken/);
  });

  it('stops waiting when the asker is gone', async () => {
    const { from, cancelled } = setUp(three('hangs', 'hangs', 'hangs'));
    const ending = new AbortController();
    const found = from(ending.signal);
    await settled();
    ending.abort(new Error('gone'));
    await assert.rejects(found, /gone/);
    assert.equal(cancelled.length, 2);
    await assert.rejects(from(ending.signal), /gone/);
  });

  it('has the catalog looked at after the answers, and fails with it', async () => {
    const order: string[] = [];
    const fresh = async (): Promise<void> => void order.push('catalog');
    const { from, asked } = setUp(three('answers'), {}, { catalog: { fresh } });
    const watched = from();
    assert.deepEqual(asked, ['i0']);
    await watched;
    assert.deepEqual(order, ['catalog']);
    const broken = setUp(three('answers'), {}, { catalog: { fresh: () => Promise.reject(new Error('no store')) } });
    await assert.rejects(broken.from(), /no store/);
  });
});

describe('a tail over a set of ingesters', () => {
  function setUpTails() {
    const clock = new ManualClock();
    const open = new Map<string, ((error: Error) => void)[]>();
    const begun: string[] = [];
    const make = (id: string): IngesterClient => ({
      ...ingesterOf(async () => [], id),
      tail: (_tenant, _matchers, _onRows, onClosed) => {
        begun.push(id);
        const list = open.get(id) ?? [];
        open.set(id, [...list, onClosed!]);
        return () => {
          open.set(
            id,
            open.get(id)!.filter((one) => one !== onClosed),
          );
        };
      },
    });
    const clients = new Map<string, IngesterClient>();
    const members = () =>
      [...clients.keys()].map(
        (id): MemberStatus => ({
          id,
          zone: '',
          healthy: true,
          address: '',
          state: 'ACTIVE',
          registeredAtMs: 0,
          heartbeatAtMs: 0,
        }),
      );
    const set = new IngesterSet({
      readSet: () => assert.fail('a tail asks nobody'),
      members,
      client: (id) => clients.get(id) ?? null,
      isReplicated: true,
      clock,
    });
    const close = (id: string): void => {
      const [onClosed] = open.get(id)!;
      open.set(id, []);
      onClosed!(new Error('broken off'));
    };
    const count = (id: string): number => open.get(id)?.length ?? 0;
    const add = (id: string) => clients.set(id, make(id));
    return { set, clock, add, clients, close, count, begun };
  }
  const tail = (set: IngesterSet): (() => void) => set.tail('a', [], () => {});

  it('follows those that are there, those that come later, and none that left', async () => {
    const { set, clock, add, clients, count } = setUpTails();
    add('a');
    const stop = tail(set);
    assert.equal(count('a'), 1);
    add('b');
    await clock.pass(1000);
    assert.deepEqual([count('a'), count('b')], [1, 1]);
    clients.delete('a');
    await clock.pass(1000);
    assert.deepEqual([count('a'), count('b')], [0, 1]);
    add('b'); // under a new address
    await clock.pass(1000);
    assert.equal(count('b'), 1);
    stop();
    assert.deepEqual([count('a'), count('b'), clock.sleepers], [0, 0, 0]);
  });

  it('tries one that breaks off again and again, less and less often', async () => {
    const { set, clock, add, close, count, begun } = setUpTails();
    add('a');
    const stop = tail(set);
    for (let i = 0; i < 10; i++) {
      close('a');
      assert.equal(count('a'), 0);
      for (let waitedMs = 0; count('a') === 0; waitedMs += 1000) {
        assert.ok(waitedMs <= 31_000);
        await clock.pass(1000);
      }
    }
    assert.equal(begun.length, 11);
    close('a');
    await clock.pass(29_000);
    assert.equal(count('a'), 0);
    await clock.pass(2000);
    assert.equal(count('a'), 1);
    await clock.pass(60_000); // it held for long: the next break is a first one
    close('a');
    await clock.pass(1000);
    assert.equal(count('a'), 1);
    stop();
    assert.equal(count('a'), 0);
  });
});
