import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { linesOf, nowNs, TestClient, until } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const LINES = 3000;

describe('nginx as a gateway', () => {
  let directory: string;
  let server: TestServer;
  let nginx: Daemon;
  let gateway: TestClient;

  before(async () => {
    await requirePrograms('nginx');
    directory = await mkdtemp(join(tmpdir(), 'loptr-nginx-'));
    server = await TestServer.start({ cwd: directory });
    const [port] = await freePorts(1);
    gateway = new TestClient(`http://127.0.0.1:${port}`);
    const config = join(directory, 'nginx.conf');
    await writeFile(config, configuration(directory, port!, server.url));
    nginx = await Daemon.start('nginx', ['-c', config, '-p', directory, '-e', 'stderr'], join(directory, 'nginx.out'));
    await nginx.answers(`${gateway.url}/ready`);
  });
  after(async () => {
    await nginx?.stop();
    await server?.stop();
    if (directory) await rm(directory, { recursive: true });
  });

  it('takes pushes and gives large answers, which nginx asks for in HTTP/1.0', async () => {
    const texts = Array.from({ length: LINES }, (_, i) => `line ${i} ${'x'.repeat(100)}`);
    const startNs = nowNs();
    const values = texts.map((text, i) => [`${startNs + BigInt(i)}`, text] as const);
    await gateway.mustPush([{ stream: { app: 'a' }, values }]);
    const params = {
      query: '{app="a"}',
      limit: 5000,
      direction: 'forward',
      start: startNs,
      end: startNs + 10_000_000n,
    };
    assert.deepEqual(linesOf(await gateway.range(params)), texts);
  });

  it('lets a WebSocket through that follows new lines', async () => {
    const query = encodeURIComponent('{app="tail"}');
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/loki/api/v1/tail?query=${query}`);
    const found: string[] = [];
    socket.on('message', (data: Buffer) => {
      const { streams } = JSON.parse(data.toString()) as { streams: { values: [string, string][] }[] };
      found.push(...streams.flatMap(({ values }) => values.map(([, text]) => text)));
    });
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    const texts = Array.from({ length: 20 }, (_, i) => `line ${i}`);
    for (const text of texts) await gateway.mustPush([{ stream: { app: 'tail' }, values: [[`${nowNs()}`, text]] }]);
    await until('all lines', () => found.length >= texts.length);
    assert.deepEqual(found.sort(), texts.sort());
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.close();
    await closed;
  });
});

function configuration(directory: string, port: number, url: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${join(directory, kind)};`,
  );
  return `daemon off;
user root;
worker_processes 1;
pid ${join(directory, 'nginx.pid')};
events {}
http {
${temporary.join('\n')}
  access_log off;
  client_max_body_size 10m;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass ${url}; }
    location = /loki/api/v1/tail {
      proxy_pass ${url};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }
  }
}
`;
}
