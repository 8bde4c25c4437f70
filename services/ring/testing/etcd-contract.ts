import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EtcdChange, EtcdClient, EtcdCondition, EtcdOperation } from '../etcd-client.ts';

const TIMEOUT_MS = 5000;

/** What a ring relies on, for the real etcd and for the one of the tests. `pass` lets at least so much time go by. */
export function testEtcdClient(open: () => Promise<{ client: EtcdClient; prefix: string }>, pass: Pass): void {
  const watching = async (client: EtcdClient, prefix: string, revision: number) => {
    const seen: EtcdChange[] = [];
    const revisions: number[] = [];
    const onChanges = (changes: readonly EtcdChange[], at: number): void => {
      seen.push(...changes);
      revisions.push(at);
    };
    const onEnd = (error: Error): void => assert.fail(error);
    const { close } = await client.watch(prefix, revision, { onChanges, onEnd }, TIMEOUT_MS);
    return { seen, revisions, close };
  };

  it('commits all operations or none, on the revisions of keys', async () => {
    const { client, prefix } = await open();
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const commit = (conditions: readonly EtcdCondition[], operations: readonly EtcdOperation[]) =>
      client.commit(conditions, operations, TIMEOUT_MS);
    const put = (key: string, value: string) => ({ kind: 'put', key, value }) as const;
    const first = await commit([{ key: a, revision: 0 }], [put(a, '1'), put(b, '2')]);
    assert.ok(first.isDone);
    assert.ok(!(await commit([{ key: a, revision: 0 }], [put(a, 'x')])).isDone);
    assert.ok(
      !(
        await commit(
          [
            { key: a, revision: first.revision },
            { key: b, revision: 1 },
          ],
          [put(a, 'x')],
        )
      ).isDone,
    );
    const second = await commit([{ key: a, revision: first.revision }], [put(a, '3')]);
    assert.ok(second.isDone && second.revision > first.revision);
    const { revision, items } = await client.load(prefix, TIMEOUT_MS);
    assert.ok(revision >= second.revision);
    assert.deepEqual(
      items.map((item) => [item.key, item.value.toString(), item.revision, item.lease]),
      [
        [a, '3', second.revision, '0'],
        [b, '2', first.revision, '0'],
      ],
    );
    const removed = await commit(
      [],
      [a, b, `${prefix}c`].map((key) => ({ kind: 'delete', key }) as const),
    );
    assert.ok(removed.isDone);
    assert.deepEqual((await client.load(prefix, TIMEOUT_MS)).items, []);
  });

  it('tells every change of the prefix after a load, and what belongs together at once', async () => {
    const { client, prefix } = await open();
    const { revision } = await client.load(prefix, TIMEOUT_MS);
    const watch = await watching(client, prefix, revision + 1);
    const put = (key: string) => ({ kind: 'put', key, value: 'v' }) as const;
    await client.commit([], [put(`x${prefix}a`)], TIMEOUT_MS);
    const both = await client.commit([], [put(`${prefix}a`), put(`${prefix}b`)], TIMEOUT_MS);
    const last = await client.commit([], [{ kind: 'delete', key: `${prefix}a` }], TIMEOUT_MS);
    await pass(0, () => watch.seen.length === 3);
    assert.deepEqual(
      watch.seen.map(({ key, value, revision }) => [key, value?.toString(), revision]),
      [
        [`${prefix}a`, 'v', both.revision],
        [`${prefix}b`, 'v', both.revision],
        [`${prefix}a`, undefined, last.revision],
      ],
    );
    assert.deepEqual(watch.revisions, [both.revision, last.revision]);
    watch.close();
    await client.commit([], [put(`${prefix}late`)], TIMEOUT_MS);
    await client.probe(prefix, TIMEOUT_MS);
    assert.equal(watch.seen.length, 3);
  });

  it('removes the keys of a lease that ends, unless another lease has them', async () => {
    const { client, prefix } = await open();
    const [kept, ended] = [await client.grantLease(60, TIMEOUT_MS), await client.grantLease(2, TIMEOUT_MS)];
    const put = (key: string, lease: string) => ({ kind: 'put', key: prefix + key, value: '', lease }) as const;
    await client.commit([], [put('a', ended), put('b', ended), put('c', kept)], TIMEOUT_MS);
    await client.commit([], [put('b', kept)], TIMEOUT_MS);
    const { revision } = await client.load(prefix, TIMEOUT_MS);
    const watch = await watching(client, prefix, revision + 1);
    assert.ok(await client.renewLease(ended, TIMEOUT_MS));
    const ageMs = await client.leaseAgeMs(kept, TIMEOUT_MS);
    assert.ok(ageMs !== undefined && ageMs >= 0 && ageMs < 10_000, String(ageMs));
    await pass(2500, () => watch.seen.length > 0);
    assert.deepEqual(
      watch.seen.map(({ key, value }) => [key, value]),
      [[`${prefix}a`, undefined]],
    );
    assert.equal(await client.renewLease(ended, TIMEOUT_MS), false);
    assert.equal(await client.leaseAgeMs(ended, TIMEOUT_MS), undefined);
    await assert.rejects(client.commit([], [put('a', ended)], TIMEOUT_MS), /requested lease not found/);
    const { items } = await client.load(prefix, TIMEOUT_MS);
    assert.deepEqual(
      items.map(({ key, lease }) => [key, lease]),
      [
        [`${prefix}b`, kept],
        [`${prefix}c`, kept],
      ],
    );
    await client.revokeLease(kept, TIMEOUT_MS);
    await client.revokeLease(kept, TIMEOUT_MS);
    assert.deepEqual((await client.load(prefix, TIMEOUT_MS)).items, []);
    watch.close();
  });
}

/** Resolves when `ms` are over and the condition holds. */
export type Pass = (ms: number, isThere: () => boolean) => Promise<void>;
