import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { nowNs, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const LINES = 25;
/** Named by Loki, and by prom-client: dashboards ask for them under these names. */
const NAMES_OF_OTHERS = new Set([
  'loki_compactor_pending_delete_requests_count',
  'loki_ingester_chunk_bounds_hours',
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]);

describe('/metrics and Prometheus', () => {
  let directory: string;
  let server: TestServer;
  let client: TestClient;
  let prometheus: Daemon;
  let url: string;

  before(async () => {
    await requirePrograms('prometheus', 'promtool');
    directory = await mkdtemp(join(tmpdir(), 'loptr-prometheus-'));
    server = await TestServer.start({ cwd: directory });
    client = new TestClient(server.url);
    const values = Array.from({ length: LINES }, (_, i) => [String(nowNs() + BigInt(i)), `line ${i}`] as const);
    await client.mustPush([{ stream: { app: 'a' }, values }]);
    await client.flush();
    await client.range({ query: '{app="a"}' });
    const [port] = await freePorts(1);
    url = `http://127.0.0.1:${port}`;
    const config = join(directory, 'prometheus.yaml');
    const targets = `['${new URL(server.url).host}']`;
    await writeFile(
      config,
      `global: {scrape_interval: 500ms}\nscrape_configs: [{job_name: loptr, static_configs: [{targets: ${targets}}]}]\n`,
    );
    const storage = `--storage.tsdb.path=${join(directory, 'tsdb')}`;
    const args = [`--config.file=${config}`, storage, `--web.listen-address=127.0.0.1:${port}`];
    prometheus = await Daemon.start('prometheus', args, join(directory, 'prometheus.out'));
    await prometheus.accepts(async () => assert.equal((await fetch(`${url}/-/ready`)).status, 200));
  });
  after(async () => {
    await prometheus?.stop();
    await server?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  const ask = async (query: string): Promise<number | undefined> => {
    const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`);
    const body = (await response.json()) as { data?: { result: { value: [number, string] }[] } };
    const value = body.data?.result[0]?.value[1];
    return value === undefined ? undefined : Number(value);
  };

  it('is scraped without an error, with its counters', async () => {
    await until('a good scrape', async () => (await ask('up{job="loptr"}')) === 1);
    assert.equal(await ask('sum(loki_distributor_lines_received_total{job="loptr"})'), LINES);
    const { text } = await client.get('/metrics');
    const names = new Set([...text.matchAll(/^# TYPE (loki_\S+) /gm)].map(([, name]) => name));
    const body = (await (await fetch(`${url}/api/v1/metadata`)).json()) as { data: Record<string, unknown> };
    assert.deepEqual(new Set(Object.keys(body.data).filter((name) => name.startsWith('loki_'))), names);
  });

  it('has nothing that promtool finds wrong but names of others', async () => {
    const { text } = await client.get('/metrics');
    const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      complaints += part;
    });
    child.stdin.end(text);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    const others = complaints.split('\n').filter((line) => line !== '' && !NAMES_OF_OTHERS.has(line.split(' ')[0]!));
    assert.deepEqual(others, []);
    assert.equal(code, complaints === '' ? 0 : 3); // 3: could be read, has complaints
  });
});
