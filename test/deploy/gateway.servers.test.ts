import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Daemon, freePorts, requirePrograms } from '../servers/daemon.ts';
import { readText } from './deploy-files.ts';

const SERVICES = ['distributor', 'query-frontend', 'querier', 'compactor'] as const;
const LARGE_BYTES = 20_000_000;

/** Which service answers what; everything else is closed. */
const PATHS: Readonly<Record<(typeof SERVICES)[number], readonly string[]>> = {
  distributor: ['/loki/api/v1/push', '/api/prom/push', '/otlp/v1/logs'],
  'query-frontend': [
    '/loki/api/v1/query_range?query=%7Ba%3D%22b%2Fc%22%7D',
    '/loki/api/v1/label/app%2Fname/values',
    '/loki/api/v1/labels',
    '/loki/api/v1/status/buildinfo',
    '/api/prom/query',
    '/config/tenant/v1/limits',
    '/ready',
  ],
  querier: ['/loki/api/v1/tail?query=%7B%7D', '/api/prom/tail'],
  compactor: ['/loki/api/v1/delete?query=%7B%7D', '/loki/api/v1/cache/generation_numbers'],
};
const CLOSED = ['/', '/config', '/flush', '/ingester/shutdown', '/metrics', '/ring', '/log_level', '/services'];

for (const file of ['deploy/compose/nginx.conf', 'deploy/kubernetes/nginx.conf']) {
  describe(file, () => {
    const backends: Server[] = [];
    let directory: string;
    let nginx: Daemon;
    let url: string;

    before(async () => {
      await requirePrograms('nginx');
      directory = await mkdtemp(join(tmpdir(), 'loptr-gateway-'));
      let configuration = readText(file).replaceAll('/tmp/', `${directory}/`);
      for (const service of SERVICES) {
        const port = await startBackend(service, backends);
        assert.ok(configuration.includes(`http://${service}:3100`), service);
        configuration = configuration.replaceAll(`http://${service}:3100`, `http://127.0.0.1:${port}`);
      }
      const [port] = await freePorts(1);
      configuration = configuration.replace('listen 8080;', `listen 127.0.0.1:${port};`);
      url = `http://127.0.0.1:${port}`;
      const path = join(directory, 'nginx.conf');
      await writeFile(path, configuration);
      const args = ['-c', path, '-p', directory, '-e', 'stderr', '-g', 'daemon off; user root;'];
      nginx = await Daemon.start('nginx', args, join(directory, 'out'));
      await nginx.answers(`${url}/healthz`);
    });
    after(async () => {
      await nginx?.stop();
      for (const backend of backends) backend.close();
      if (directory) await rm(directory, { recursive: true });
    });

    for (const service of SERVICES) {
      it(`sends to ${service} what is for it, as it came`, async () => {
        for (const path of PATHS[service]) {
          const answer = (await (
            await fetch(`${url}${path}`, { headers: { 'X-Scope-OrgID': 'shop' } })
          ).json()) as Seen;
          assert.deepEqual([answer.service, answer.path, answer.tenant], [service, path, 'shop'], path);
        }
      });
    }

    it('is healthy by itself, and closes what is for operators', async () => {
      assert.equal((await fetch(`${url}/healthz`)).status, 204);
      for (const path of CLOSED) assert.equal((await fetch(`${url}${path}`)).status, 404, path);
    });

    it('takes pushes of many megabytes', async () => {
      const answer = await fetch(`${url}/loki/api/v1/push`, { method: 'POST', body: Buffer.alloc(LARGE_BYTES) });
      assert.equal(((await answer.json()) as Seen).bytes, LARGE_BYTES);
    });

    it('lets a WebSocket through to a querier', async () => {
      const upgraded = await new Promise<string | undefined>((resolve, reject) => {
        const headers = { Connection: 'Upgrade', Upgrade: 'websocket' };
        request(`${url}/loki/api/v1/tail`, { headers })
          .once('upgrade', (answer, socket) => {
            socket.destroy();
            resolve(answer.headers['x-service'] as string);
          })
          .once('response', (answer) => reject(new Error(`${answer.statusCode}`)))
          .once('error', reject)
          .end();
      });
      assert.equal(upgraded, 'querier');
    });
  });
}

interface Seen {
  readonly service: string;
  readonly path: string;
  readonly tenant: string;
  readonly bytes: number;
}

/** Tells what it got; takes every WebSocket. */
async function startBackend(service: string, started: Server[]): Promise<number> {
  const server = createServer((incoming, answer) => {
    let bytes = 0;
    incoming.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    incoming.once('end', () => {
      const seen = { service, path: incoming.url, tenant: incoming.headers['x-scope-orgid'], bytes };
      answer.end(JSON.stringify(seen));
    });
  });
  server.on('upgrade', (_request, socket) => {
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Service: ${service}\r\n\r\n`,
    );
  });
  started.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
