import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TestServer } from '../harness/server.ts';

const root = join(import.meta.dirname, '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'loptr-process-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the program to its end in an empty folder. */
function run(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const done = spawnSync(process.execPath, [join(root, 'services', 'main.ts'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

async function push(url: string, line: string): Promise<void> {
  const response = await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream: { app: 'e2e' }, values: [[`${Date.now()}000000`, line]] }] }),
  });
  assert.equal(response.status, 204, await response.text());
}

async function lines(url: string): Promise<string[]> {
  const response = await fetch(`${url}/loki/api/v1/query_range?query=${encodeURIComponent('{app="e2e"}')}`);
  assert.equal(response.status, 200);
  const body = (await response.json()) as { data: { result: { values: [string, string][] }[] } };
  return body.data.result.flatMap((stream) => stream.values.map(([, line]) => line));
}

test('switches answer and end', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  assert.deepEqual(run(['-version']), { status: 0, out: `loptr ${version}\n`, err: '' });
  assert.match(run(['-list-targets']).out, /^all\nread\nwrite\nbackend\ndistributor\n/);
  assert.match(run(['-help']).out, /-server\.http-listen-port\n +Port of HTTP/);
  assert.match(run(['-verify-config']).err, /msg="config is valid"/);
});

test('a wrong configuration is told whole and ends the program', () => {
  writeFileSync(join(folder, 'wrong.yaml'), 'nonsense: 1\nserver:\n  http_listen_port: many\n');
  const { status, err } = run(['-config.file=wrong.yaml', '-verify-config']);
  assert.equal(status, 1);
  assert.match(err, /wrong\.yaml:1: unknown key nonsense\n +wrong\.yaml:3: server\.http_listen_port: expected/);
  assert.match(run(['-config.file=nope.yaml']).err, /nope\.yaml does not exist/);
});

test('the environment fills the configuration on request', () => {
  writeFileSync(join(folder, 'env.yaml'), 'server:\n  log_level: ${LEVEL:-warn}\n  http_path_prefix: ${PREFIX}\n');
  const { err } = run(['-config.file=env.yaml', '-config.expand-env', '-print-config-stderr', '-verify-config'], {
    PREFIX: '/logs',
  });
  assert.match(err, /http_path_prefix: \/logs\n/);
  assert.match(err, /log_level: warn\n/);
});

test('what was pushed is there after a stop and another start', async () => {
  const cwd = mkdtempSync(join(folder, 'restart-'));
  const first = await TestServer.start({ cwd });
  await push(first.url, 'before the stop');
  assert.deepEqual(await lines(first.url), ['before the stop']);
  assert.deepEqual(await first.stop(), { code: 0, signal: null });
  const second = await TestServer.start({ cwd });
  try {
    assert.deepEqual(await lines(second.url), ['before the stop']);
    await push(second.url, 'after it');
    assert.deepEqual((await lines(second.url)).sort(), ['after it', 'before the stop']);
    assert.equal(run(['-health', `-health.url=${second.url}/ready`]).status, 0);
  } finally {
    await second.stop();
  }
  assert.equal(run(['-health', `-health.url=${second.url}/ready`]).status, 1);
});

test('a port or a directory that is taken ends the program with the reason', async () => {
  const cwd = mkdtempSync(join(folder, 'taken-'));
  const server = await TestServer.start({ cwd });
  try {
    const port = `-server.http-listen-port=${server.ports.http}`;
    const address = '-server.http-listen-address=127.0.0.1';
    const samePort = run([address, port, '-server.grpc-listen-port=0', '-common.path-prefix=other']);
    assert.equal(samePort.status, 1);
    assert.match(samePort.err, /level=error .*EADDRINUSE/);
    const sameData = run([
      '-server.http-listen-port=0',
      '-server.grpc-listen-port=0',
      `-common.path-prefix=${cwd}/data`,
    ]);
    assert.equal(sameData.status, 1);
    assert.match(sameData.err, /err_code=wal_locked/);
  } finally {
    await server.stop();
  }
});

test('a second signal ends the program at once', async () => {
  const cwd = mkdtempSync(join(folder, 'twice-'));
  const server = await TestServer.start({ cwd, args: ['-shutdown-delay=1h'] });
  server.kill('SIGTERM');
  const notReady = async () => (await fetch(`${server.url}/ready`)).status === 503;
  while (!(await notReady())) await new Promise((resolve) => setImmediate(resolve));
  const again = setInterval(() => server.kill('SIGTERM'), 200);
  assert.deepEqual(await server.exited, { code: 143, signal: null });
  clearInterval(again);
});

test('POST /ingester/shutdown stores what is in memory and ends the program', async () => {
  const cwd = mkdtempSync(join(folder, 'shutdown-'));
  const server = await TestServer.start({ cwd });
  await push(server.url, 'kept');
  const response = await fetch(`${server.url}/ingester/shutdown`, { method: 'POST' });
  assert.equal(response.status, 204);
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  const next = await TestServer.start({ cwd });
  try {
    assert.deepEqual(await lines(next.url), ['kept']);
  } finally {
    await next.stop();
  }
});
