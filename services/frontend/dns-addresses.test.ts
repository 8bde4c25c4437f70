import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dnsAddresses } from './dns-addresses.ts';

const answers = (...found: string[]) => {
  const asked: string[] = [];
  const ask = async (host: string) => {
    asked.push(host);
    return found.map((address) => ({ address }));
  };
  return { asked, ask };
};

test('every address behind a name is found, once, in a steady order', async () => {
  const { asked, ask } = answers('10.0.0.2', 'fd00::1', '10.0.0.1', '10.0.0.2');
  assert.deepEqual(await dnsAddresses('frontend.loki:9095', ask), ['10.0.0.1:9095', '10.0.0.2:9095', '[fd00::1]:9095']);
  await dnsAddresses('[::1]:9095', ask);
  assert.deepEqual(asked, ['frontend.loki', '::1']);
});

test('addresses are their own', async () => {
  assert.deepEqual(await dnsAddresses('127.0.0.1:7'), ['127.0.0.1:7']);
  assert.deepEqual(await dnsAddresses('[::1]:7'), ['[::1]:7']);
});
