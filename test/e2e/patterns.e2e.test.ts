import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nowNs, type PushedValue, TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const cwd = await mkdtemp(join(tmpdir(), 'loptr-patterns-'));
after(() => rm(cwd, { recursive: true }));

interface Answer {
  readonly status: string;
  readonly data: readonly { readonly pattern: string; readonly level: string; readonly samples: [number, number][] }[];
}

test('patterns of pushed lines are counted by level in intervals of ten seconds', async () => {
  await using server = await TestServer.start({ cwd, args: ['-auth.enabled=true', '-pattern-ingester.enabled=true'] });
  const client = new TestClient(server.url, 'a');
  const startNs = (nowNs() / 60_000_000_000n) * 60_000_000_000n - 60_000_000_000n; // a whole minute
  const at = (second: number, i: number) => `${startNs + BigInt(second) * 1_000_000_000n + BigInt(i)}`;
  const values: PushedValue[] = [];
  for (let i = 0; i < 40; i++) values.push([at(0, i), `level=info msg="request done" path=/users/${i} took=${i}ms`]);
  for (let i = 0; i < 30; i++) values.push([at(25, i), `level=error msg="request failed" path=/users/${i} took=1ms`]);
  for (let i = 0; i < 29; i++) values.push([at(30, i), `level=warn msg="too few of these" path=/${i} took=2ms`]);
  await client.mustPush([{ stream: { app: 'web' }, values }]);
  const params = { query: '{app="web"}', start: startNs, end: startNs + 60_000_000_000n, step: '10s' };
  const second = Number(startNs / 1_000_000_000n);
  const expected = [
    { pattern: 'level=info msg="request done" path=<_> took=<_>', level: 'info', samples: [[second, 40]] },
    { pattern: 'level=error msg="request failed" path=<_> took=1ms', level: 'error', samples: [[second + 20, 30]] },
  ];
  assert.deepEqual(await client.json<Answer>('/loki/api/v1/patterns', params), { status: 'success', data: expected });
  const { status, text } = await client.post('/loki/api/v1/patterns', params);
  assert.equal(status, 200);
  assert.match(
    text,
    /^\{"status":"success","data":\[\{"pattern":"level=info msg=\\"request done\\" path=\\u003c_\\u003e /,
  );
  const other = await client.get('/loki/api/v1/patterns', { query: '{app="other"}' });
  assert.equal(other.text, '{"status":"success","data":[]}\n');
  const wrong = await client.get('/loki/api/v1/patterns', { query: '{app="web"} |= "x"' });
  assert.deepEqual([wrong.status, wrong.text], [400, 'only label matchers are supported']);
  assert.deepEqual((await new TestClient(server.url, 'b').json<Answer>('/loki/api/v1/patterns', params)).data, []);
  assert.equal(await client.metric('loptr_pattern_ingester_lines_total'), 99);
  assert.match((await client.get('/services')).text, /^pattern-ingester => Running$/m);
  assert.equal((await client.get('/pattern/ring')).status, 200);
  const limits = await client.json<{ pattern_ingester_enabled: boolean }>('/loki/api/v1/drilldown-limits');
  assert.equal(limits.pattern_ingester_enabled, true);
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
});

test('without a pattern ingester patterns are an empty 404 for a tenant', async () => {
  await using server = await TestServer.start({ cwd, args: ['-auth.enabled=true'] });
  const path = '/loki/api/v1/patterns';
  const { status, text } = await new TestClient(server.url, 'a').get(path, { query: '{app="web"}' });
  assert.deepEqual([status, text], [404, '']);
  assert.equal((await fetch(`${server.url}/pattern/ring`)).status, 404);
  const nobody = await new TestClient(server.url).get(path, { query: '{app="web"}' });
  assert.deepEqual([nobody.status, nobody.text], [401, 'no org id\n']);
});
