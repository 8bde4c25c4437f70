import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTargets, SERVICES } from './targets.ts';

test('a target is a service, several, or a group of them', () => {
  assert.deepEqual([...parseTargets('all')], SERVICES);
  assert.deepEqual([...parseTargets('querier')], ['querier']);
  assert.deepEqual([...parseTargets('read, ingester')], ['query-frontend', 'querier', 'ingester']);
  assert.deepEqual([...parseTargets('write,distributor')], ['distributor', 'ingester']);
  assert.deepEqual([...parseTargets('backend')], ['compactor', 'ruler']);
});

test('what is no service is refused with the names that are', () => {
  assert.throws(() => parseTargets('quereer'), /expected some of all, read, .*querier.*, got "quereer"/);
  assert.throws(() => parseTargets(''), /got ""/);
  assert.throws(() => parseTargets('read,index-gateway'), /no index-gateway to run: segments carry their own index/);
  assert.throws(() => parseTargets('constructor'), RangeError);
});
