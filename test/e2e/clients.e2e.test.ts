import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { nowNs, type StreamResult, TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const cwd = await mkdtemp(join(tmpdir(), 'loptr-clients-'));
const server = await TestServer.start({ cwd });
const client = new TestClient(server.url);
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

interface Row {
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly line: string;
}

/** Runs a program to its end in a process of its own. Rejects when it fails or says something on stderr. */
async function run(program: string, ...args: string[]): Promise<void> {
  const file = join(import.meta.dirname, 'clients', program);
  const { stderr } = await promisify(execFile)(process.execPath, [file, server.url, ...args], { timeout: 60_000 });
  assert.equal(stderr, '');
}

/** Every row of an application, with its metadata apart from its labels, oldest first. */
async function rowsOf(app: string): Promise<Row[]> {
  const query = `{app="${app}"}`;
  const params = { query, limit: 5000, start: nowNs() - 3600_000_000_000n, end: nowNs() + 60_000_000_000n };
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  const { result } = await client.range<StreamResult>({ ...params, direction: 'forward' }, { headers });
  return result.flatMap(({ stream, values }) =>
    values.map(([, line, categories]) => {
      const metadata = { ...categories!.structuredMetadata };
      assert.equal(typeof metadata['detected_level'], 'string');
      delete metadata['detected_level'];
      return { labels: stream, metadata, line };
    }),
  );
}

function only(rows: readonly Row[], part: string): Row {
  const found = rows.filter(({ line }) => line.includes(part));
  assert.equal(found.length, 1, `${found.length} lines with ${part}`);
  return found[0]!;
}

test('what pino-loki sends as JSON is found once, with its labels and metadata', async () => {
  await run('pino-program.ts');
  const rows = await rowsOf('pino-client');
  const messages = rows.map(({ line }) => (JSON.parse(line) as { msg: string }).msg);
  assert.equal(messages.length, 124);
  const numbers = Array.from({ length: 120 }, (_, n) => `line ${n}`);
  assert.deepEqual(new Set(messages).isSupersetOf(new Set(numbers)), true);
  assert.equal(new Set(messages).size, 124);
  const labels = { app: 'pino-client', hostname: hostname(), service_name: 'pino-client' };
  assert.deepEqual(only(rows, '"line 7"').labels, { ...labels, level: 'info' });
  assert.deepEqual(only(rows, String.raw`a \"quoted\" text\nwith two lines`).labels, { ...labels, level: 'debug' });
  assert.deepEqual(only(rows, 'Grüße aus Köln 🌍').labels, { ...labels, level: 'warning', region: 'eu' });
  const failed = only(rows, 'order failed');
  assert.deepEqual(failed.metadata, { trace_id: 'a1', items: '[1,2]' });
  // Metadata that has the name of a label is told apart from it.
  assert.deepEqual(only(rows, 'the end').metadata, { level_extracted: 'custom' });
  const failures = await client.range({ query: '{app="pino-client"} | json | err_message="no stock" | n=""' });
  assert.equal(failures.result.length, 1);
});

for (const form of ['proto', 'json']) {
  const app = `winston-${form}`;
  test(`what winston-loki sends as ${form === 'proto' ? 'snappy protobuf' : 'JSON'} is found once`, async () => {
    await run('winston-program.ts', form);
    const rows = await rowsOf(app);
    assert.equal(rows.length, 122);
    const labels = { app, service_name: app };
    // Its protobuf has no metadata; its JSON has it three times: in the labels, the line and the metadata.
    const withMetadata = (metadata: Row['metadata']): Row['metadata'] => (form === 'json' ? metadata : {});
    for (let n = 0; n < 120; n++) {
      assert.deepEqual(only(rows, `line ${n} `), {
        labels: { ...labels, level: 'info' },
        metadata: withMetadata({ level_extracted: 'info' }),
        line: `line ${n} {"level":"info"}`,
      });
    }
    assert.deepEqual(only(rows, 'Grüße aus Köln 🌍').labels, { ...labels, level: 'warn', region: 'eu' });
    const failed = only(rows, 'order failed');
    assert.deepEqual(failed.labels, { ...labels, level: 'error' });
    assert.deepEqual(
      failed.metadata,
      withMetadata({ level_extracted: 'error', trace_id: 'a1', app_extracted: 'not the label' }),
    );
    const filter = form === 'json' ? '| trace_id="a1" | app_extracted="not the label"' : '|= "trace_id"';
    const byTrace = await client.range({ query: `{app="${app}"} ${filter}` });
    assert.equal(byTrace.result.length, 1);
  });
}
