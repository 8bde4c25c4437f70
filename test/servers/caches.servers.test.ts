import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Cache, type CacheConfig, createCache } from '../../storage/cache/index.ts';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const DEADLINE_MS = 10_000;
const common = { timeoutMs: 500, ttlMs: 0, maxValueBytes: 1_000_000 };

const servers = [
  {
    program: 'memcached',
    args: (port: number) => ['-u', 'nobody', '-l', '127.0.0.1', '-p', String(port), '-m', '64'],
    config: (port: number): CacheConfig => ({ kind: 'memcached', addresses: [`127.0.0.1:${port}`], ...common }),
  },
  {
    program: 'redis-server',
    args: (port: number) => ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    config: (port: number): CacheConfig => ({
      kind: 'redis',
      endpoint: `127.0.0.1:${port}`,
      ...common,
      db: 0,
      username: '',
      password: '',
      tls: false,
      tlsInsecure: false,
    }),
  },
] as const;

for (const { program, args, config } of servers) {
  describe(`a cache in ${program}`, () => {
    let directory: string;
    let port: number;
    let daemon: Daemon;
    let cache: Cache;
    const failures: string[] = [];

    const start = async (): Promise<void> => {
      daemon = await Daemon.start(program, args(port), join(directory, 'output'));
      await daemon.accepts(
        () =>
          new Promise((resolve, reject) => {
            const socket = connect(port, '127.0.0.1', () => {
              socket.destroy();
              resolve();
            });
            socket.on('error', reject);
          }),
      );
    };
    /** Asks until what was set is found: the client may still be connecting. */
    const works = async (): Promise<void> => {
      for (const endMs = Date.now() + DEADLINE_MS; ; ) {
        await cache.set('works', Buffer.from('yes'));
        if (String(await cache.get('works')) === 'yes') return;
        assert.ok(Date.now() < endMs, failures.join(', '));
        await sleep(20);
      }
    };

    before(async () => {
      await requirePrograms(program);
      directory = await mkdtemp(join(tmpdir(), 'loptr-cache-'));
      [port] = (await freePorts(1)) as [number];
      await start();
      cache = await createCache(config(port), { onFailure: (...what) => failures.push(what.join(' ')) });
      await works();
    });
    after(async () => {
      await cache?.close();
      await daemon?.stop();
      await rm(directory, { recursive: true });
    });

    it('gives back bytes as they were, small and large, many at once', async () => {
      failures.length = 0;
      const values = [0, 1, 1000, 100_000, 900_000].map((length) => randomBytes(length));
      await Promise.all(values.map((value, i) => cache.set(`bytes ${i}`, value)));
      const found = await Promise.all(values.map((_, i) => cache.get(`bytes ${i}`)));
      assert.deepEqual(failures, []);
      for (const [i, value] of values.entries()) assert.ok(found[i]!.equals(value), `${value.length} bytes`);
      assert.equal(await cache.get('nothing'), null);
    });

    it('lets a value go when its time is over', async () => {
      await cache.set('short', Buffer.from('x'), 1000);
      assert.equal(String(await cache.get('short')), 'x');
      for (const endMs = Date.now() + DEADLINE_MS; (await cache.get('short')) !== null; await sleep(50)) {
        assert.ok(Date.now() < endMs);
      }
    });

    it('has nothing while the server is away, fails nobody, and works again afterwards', async () => {
      await daemon.stop('SIGKILL');
      failures.length = 0;
      for (let i = 0; i < 10; i++) assert.equal(await cache.get('works'), null);
      assert.equal(failures.length, 10);
      await start();
      await works();
    });

    it('holds up nobody when the server stops to answer', async () => {
      await works();
      const { pid } = daemon;
      process.kill(pid, 'SIGSTOP');
      try {
        await standsStill(pid);
        failures.length = 0;
        for (let i = 0; i < 10; i++) assert.equal(await cache.get('works'), null);
        assert.ok(failures.includes('get skipped'));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await works();
    });
  });
}

/** A signal takes its time: until each thread has stopped, the process may answer. */
async function standsStill(pid: number): Promise<void> {
  for (const endMs = Date.now() + DEADLINE_MS; ; await sleep(5)) {
    const threads = await readdir(`/proc/${pid}/task`);
    const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8')));
    // The state follows the name, which stands in parentheses: proc(5).
    if (stats.every((stat) => /\) T /.test(stat))) return;
    assert.ok(Date.now() < endMs);
  }
}
