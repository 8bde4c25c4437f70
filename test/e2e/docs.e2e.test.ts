import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const cwd = await mkdtemp(join(tmpdir(), 'loptr-docs-'));
let server: TestServer;
let client: TestClient;
before(async () => {
  // What is off by default is explained as well.
  const deletes = ['-compactor.retention-enabled=true', '-compactor.delete-request-store=filesystem'];
  server = await TestServer.start({
    cwd,
    args: [...deletes, '-pattern-ingester.enabled=true', '-querier.cache-results=true'],
  });
  client = new TestClient(server.url);
});
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

test('docs/operations.md explains every metric of the program, and no other', async () => {
  const text = await readFile(join(docs, 'operations.md'), 'utf8');
  const explained = [...text.matchAll(/^\| `((?:loki|logql|loptr)_\w+)` \| \S/gm)].map((row) => row[1]!);
  const { text: metrics } = await client.get('/metrics');
  const served = [...metrics.matchAll(/^# HELP ((?:loki|logql|loptr)_\w+) /gm)].map((line) => line[1]!);
  assert.ok(served.length > 30);
  assert.deepEqual([...explained].sort(), [...served].sort());
});

test('docs/api.md tells of each endpoint whether it is there', async () => {
  const text = await readFile(join(docs, 'api.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z, ]+) (\/[^`]*)` \| ([a-z ]+) \|/gm)];
  assert.ok(rows.length > 35);
  // The one that ends the program comes last.
  rows.sort(([, , a], [, , b]) => Number(a === '/ingester/shutdown') - Number(b === '/ingester/shutdown'));
  const wrong: string[] = [];
  for (const [, methods, path, state] of rows) {
    for (const method of path === '/ingester/shutdown' ? ['POST'] : methods!.split(', ')) {
      const address = `${path!.replace(/\{\w+\}/, 'app')}?${new URLSearchParams({ query: '{app="x"}' })}`;
      const { status, text: body } = await client.send(address, { method });
      const isThere = status !== 405 && body !== '404 page not found\n';
      if (isThere !== (state !== 'not there')) wrong.push(`${method} ${path} is ${state}: ${status} ${body}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(await server.exited, { code: 0, signal: null });
});
