import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOUR_MS, NOON_MS } from '../../services/compactor/testing/setup.ts';
import type { RangeParams } from '../../services/querier/params.ts';
import { type Cache, type CacheConfig, createCache } from '../../storage/cache/index.ts';
import { CachingSetup } from '../harness/caching-setup.ts';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const DEADLINE_MS = 10_000;
const common = { timeoutMs: 500, ttlMs: HOUR_MS, maxValueBytes: 1_000_000 };
const ns = (ms: number): bigint => BigInt(ms) * 1_000_000n;
const START_MS = NOON_MS - 6 * HOUR_MS;
const range = { startNs: ns(START_MS), endNs: ns(NOON_MS), limit: 5000, intervalNs: 0n, stepNs: 60_000_000_000n };
const QUERIES: readonly RangeParams[] = [
  { ...range, query: 'sum by (app) (count_over_time({app=~".+"}[5m]))', direction: 'backward' },
  { ...range, query: '{app="web"} |= "2"', direction: 'forward' },
];

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
  describe(`answers kept in ${program}`, () => {
    let directory: string;
    let daemon: Daemon;
    let cache: Cache;
    const setup = new CachingSetup();

    before(async () => {
      await requirePrograms(program);
      directory = await mkdtemp(join(tmpdir(), 'loptr-results-'));
      const [port] = (await freePorts(1)) as [number];
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
      cache = await createCache(config(port));
      setup.clock.ms = NOON_MS + HOUR_MS;
      await setup.start(cache);
      const rows = Array.from({ length: 360 }, (_, i) => ({ ns: ns(START_MS + i * 60_000), line: `line ${i}` }));
      await setup.flush({ app: 'web' }, rows);
      await setup.flush({ app: 'db' }, rows);
    });
    after(async () => {
      await cache.close();
      await daemon.stop();
      await setup.stop();
      await rm(directory, { recursive: true });
    });

    it('are served, until a late row changes them', async () => {
      for (const query of QUERIES) {
        // The client may still be connecting: what it does not keep, it keeps the next time.
        for (const endMs = Date.now() + DEADLINE_MS; ; await sleep(20)) {
          const { direct, kept, asked } = await setup.ask(query);
          assert.equal(kept, direct);
          if (asked === 0) break;
          assert.ok(Date.now() < endMs, `${asked} parts are still asked for`);
        }
      }
      await setup.flush({ app: 'web' }, [{ ns: ns(NOON_MS - 2.5 * HOUR_MS), line: 'late 2' }]);
      for (const query of QUERIES) {
        const changed = await setup.ask(query);
        assert.deepEqual([changed.kept === changed.direct, changed.asked], [true, 1]);
      }
    });

    it('are made anew when the server is gone', async () => {
      await daemon.stop('SIGKILL');
      for (const query of QUERIES) {
        const { direct, kept, asked } = await setup.ask(query);
        assert.equal(kept, direct);
        assert.ok(asked >= 6);
      }
    });
  });
}
