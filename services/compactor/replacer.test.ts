import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeBlocks } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import {
  activeKey,
  encodeReplacement,
  type Replacement,
  type ReplacementNote,
  SegmentCatalog,
} from '../../storage/index/index.ts';
import { writeSegment } from '../../storage/segment/index.ts';
import { MemoryStore } from '../../test/faults/memory-store.ts';
import { Replacer } from './replacer.ts';
import { flush, HOUR_MS, NOON_MS, TestClock } from './testing/setup.ts';

const MINUTE_MS = 60_000;
const TENANT = 'team-a';
const NEVER = new AbortController().signal;

async function setUp() {
  const store = new MemoryStore();
  const clock = new TestClock();
  const sources: string[] = [];
  for (let i = 0; i < 3; i++) {
    sources.push(await flush(store, clock, [[{ app: 'a' }, [{ ns: BigInt(NOON_MS) * 1_000_000n, line: `${i}` }]]]));
    clock.ms += MINUTE_MS;
  }
  const errors: string[] = [];
  const logger = { ...silentLogger, error: (message: string) => errors.push(message) };
  const start = async () => {
    const catalog = new SegmentCatalog(store, silentLogger);
    await catalog.load();
    const replacer = new Replacer({ store, catalog, clock, logger, graceMs: () => HOUR_MS });
    await replacer.settle();
    return { catalog, replacer, shown: () => catalog.segments(TENANT).map(({ key }) => key) };
  };
  /** A segment of a claim. */
  const write = async (idPrefix: string, number: number): Promise<string> => {
    const blocks = encodeBlocks(headOf([{ ns: BigInt(NOON_MS + number) * 1_000_000n, line: 'merged' }]));
    const id = `${idPrefix}000${number}`;
    const { key, pieces } = writeSegment(TENANT, [{ labels: [['app', 'a']], blocks }], clock, id);
    await store.put(key, pieces);
    return key;
  };
  const claimOf = { tenant: TENANT, sources, reason: 'compaction', workMs: 10 * MINUTE_MS } as const;
  const notes = () => [...store.objects.keys()].filter((key) => key.startsWith('compactions/'));
  return { store, clock, sources, errors, start, write, claimOf, notes };
}

describe('Replacer', () => {
  it('shows the outputs, all in one tick, once it is committed', async () => {
    const { sources, start, write, claimOf } = await setUp();
    const { replacer, shown } = await start();
    const claim = (await replacer.claim(claimOf, NEVER))!;
    const outputs = [await write(claim.idPrefix, 0), await write(claim.idPrefix, 1)];
    assert.deepEqual((await start()).shown(), sources);
    await replacer.commit(claim, outputs, NEVER);
    assert.deepEqual(shown(), outputs);
    assert.deepEqual((await start()).shown(), outputs);
  });

  it('leaves what another process claims alone until that must have given up, and then removes what it left', async () => {
    const { store, clock, sources, start, write, claimOf, notes } = await setUp();
    const gone = await start();
    const claim = (await gone.replacer.claim(claimOf, NEVER))!;
    const output = await write(claim.idPrefix, 0);
    const { replacer, shown } = await start();
    assert.ok(replacer.isBusy(sources[0]!));
    assert.equal(await replacer.claim({ ...claimOf, sources: [sources[1]!] }, NEVER), null);
    clock.ms = claim.untilMs;
    await replacer.settle();
    assert.ok(replacer.isBusy(sources[0]!) && store.objects.has(output));
    clock.ms++;
    await replacer.settle();
    assert.ok(!replacer.isBusy(sources[0]!) && !store.objects.has(output));
    assert.deepEqual([shown(), notes()], [sources, []]);
    // Should it still live, it is too late.
    await assert.rejects(gone.replacer.commit(claim, [output], NEVER), { code: 'claim_lost' });
    assert.deepEqual((await start()).shown(), sources);
  });

  it('takes back at the next run what it could not finish itself', async () => {
    const { store, clock, sources, start, write, claimOf, notes } = await setUp();
    const { replacer, shown } = await start();
    const claim = (await replacer.claim(claimOf, NEVER))!;
    const outputs = [await write(claim.idPrefix, 0)];
    const put = store.put.bind(store);
    store.put = () => Promise.reject(new Error('connection reset'));
    await assert.rejects(replacer.commit(claim, outputs, NEVER), /connection reset/);
    store.put = put;
    clock.ms += MINUTE_MS;
    await replacer.settle();
    assert.deepEqual([shown(), notes(), store.objects.has(outputs[0]!)], [sources, [], false]);
    assert.ok(await replacer.claim(claimOf, NEVER));
  });

  it('finds out that a commit was done whose answer was lost', async () => {
    const { store, start, write, claimOf } = await setUp();
    const { replacer, shown } = await start();
    const claim = (await replacer.claim(claimOf, NEVER))!;
    const outputs = [await write(claim.idPrefix, 0)];
    const put = store.put.bind(store);
    store.put = async (...call) => {
      await put(...call);
      throw new Error('connection reset');
    };
    await assert.rejects(replacer.commit(claim, outputs, NEVER), /connection reset/);
    store.put = put;
    await replacer.settle();
    assert.deepEqual(shown(), outputs);
  });

  it('replaces one after the other what was made together, and what was made of that', async () => {
    const { clock, start, write, claimOf, notes } = await setUp();
    const { replacer, shown } = await start();
    const replace = async (sources: readonly string[], ...numbers: number[]): Promise<string[]> => {
      const claim = await replacer.claim({ ...claimOf, sources }, NEVER);
      assert.ok(claim, 'nobody else is at it');
      const outputs = await Promise.all(numbers.map((number) => write(claim.idPrefix, number)));
      await replacer.commit(claim, outputs, NEVER);
      return outputs;
    };
    const [a, b] = await replace(claimOf.sources, 0, 1);
    const [c] = await replace([a!], 2);
    const [d] = await replace([b!], 3);
    const [e] = await replace([c!, d!], 4);
    assert.deepEqual([shown(), (await start()).shown()], [[e], [e]]);
    // To another process each of them is new.
    const other = await start();
    assert.ok(await other.replacer.claim({ ...claimOf, sources: [e!] }, NEVER));
    clock.ms += 3 * HOUR_MS;
    await replacer.settle();
    assert.deepEqual([shown(), (await start()).shown(), notes().length], [[e], [e], 0]);
  });

  it('removes sources in the order in which they were replaced, whatever the clocks of processes say', async () => {
    const { store, clock, start, write, claimOf, notes } = await setUp();
    const one = await start();
    const claim = (await one.replacer.claim(claimOf, NEVER))!;
    const outputs = [await write(claim.idPrefix, 0), await write(claim.idPrefix, 1)];
    await one.replacer.commit(claim, outputs, NEVER);
    clock.ms -= 10 * MINUTE_MS;
    const two = await start();
    const next = (await two.replacer.claim({ ...claimOf, sources: [outputs[0]!] }, NEVER))!;
    assert.ok(next.id < claim.id);
    const last = await write(next.idPrefix, 2);
    await two.replacer.commit(next, [last], NEVER);
    clock.ms += 2 * HOUR_MS;
    const deleted: string[] = [];
    const remove = store.delete.bind(store);
    store.delete = async (key) => {
      if (key === activeKey(claim))
        assert.ok(store.objects.has(outputs[0]!), 'its outputs are there as long as the note');
      deleted.push(key);
      await remove(key);
    };
    await two.replacer.settle();
    assert.deepEqual(notes(), []);
    assert.ok(deleted.indexOf(activeKey(claim)) < deleted.indexOf(outputs[0]!));
    assert.deepEqual(new Set(two.shown()), new Set([last, outputs[1]]));
    assert.deepEqual(new Set((await start()).shown()), new Set([last, outputs[1]]));
  });

  it('goes by the sources of a note whose outputs are not all there, and says so', async () => {
    const { store, clock, sources, errors, start, write, claimOf, notes } = await setUp();
    const first = await start();
    const claim = (await first.replacer.claim(claimOf, NEVER))!;
    const outputs = [await write(claim.idPrefix, 0), await write(claim.idPrefix, 1)];
    await first.replacer.commit(claim, outputs, NEVER);
    await store.delete(outputs[1]!);
    const { shown, replacer } = await start();
    assert.deepEqual([shown(), errors.length], [sources, 1]);
    clock.ms += 48 * HOUR_MS;
    await replacer.settle();
    assert.deepEqual([shown(), notes().length], [sources, 1]);
    assert.ok(sources.every((key) => store.objects.has(key)));
    await store.delete(outputs[0]!);
    await replacer.settle();
    assert.deepEqual(notes(), [], 'nothing is left that it could tell of');
    assert.ok(sources.every((key) => store.objects.has(key)));
  });

  it('carries on with the notes of the first release', async () => {
    const { store, clock, sources, start, write, notes } = await setUp();
    const note = (id: string): ReplacementNote => ({
      kind: 'replacement',
      tenant: TENANT,
      id: NOON_MS.toString(16).padStart(12, '0') + id.padStart(16, '0'),
      outputs: [],
      sources: [],
      reason: 'compaction',
      isEarly: true,
    });
    const output = await write('a'.repeat(24), 0);
    const early = async (id: string, text: object) =>
      store.put(activeKey(note(id)), [Buffer.from(JSON.stringify(text))]);
    await early('1', { output, sources: [sources[0]], reason: 'compaction' });
    await early('2', { output: output.replace('aaaa', 'bbbb'), sources: [sources[1]], reason: 'compaction' });
    const { replacer, shown } = await start();
    assert.deepEqual(new Set(shown()), new Set([output, sources[1], sources[2]]));
    assert.ok(replacer.isBusy(sources[1]!));
    clock.ms += 2 * HOUR_MS;
    await replacer.settle();
    await replacer.settle();
    assert.deepEqual([notes(), replacer.isBusy(sources[1]!)], [[], false]);
    assert.ok(!store.objects.has(sources[0]!) && store.objects.has(sources[1]!));
    const done = [...store.objects].find(([key]) => key.startsWith('compacted/'))!;
    const kept = encodeReplacement({ ...(note('1') as Replacement), outputs: [output], sources: [sources[0]!] });
    assert.equal(Buffer.from(done[1]).toString(), kept.toString());
  });
});
