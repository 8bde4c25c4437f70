import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { testEtcdClient } from './testing/etcd-contract.ts';
import { FakeEtcd } from './testing/fake-etcd.ts';
import { SteppedClock } from './testing/stepped-clock.ts';

describe('the etcd of the tests', () => {
  const clock = new SteppedClock(1000);
  const etcd = new FakeEtcd(clock);
  let prefixes = 0;
  testEtcdClient(
    async () => ({ client: etcd, prefix: `contract-${prefixes++}/` }),
    async (ms, isThere) => {
      await clock.advance(ms);
      etcd.expire();
      assert.ok(isThere());
    },
  );
});
