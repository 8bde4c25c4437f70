import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { defaultLimits } from '../config/limits.ts';
import { HttpError, HttpServer } from '../http/index.ts';
import { serverOptions } from '../http/testing/server-options.ts';
import { Tailer } from './tail.ts';

describe('a tail', () => {
  let failure: Error = new Error('not set');
  const tailer = new Tailer({
    querier: { entries: () => Promise.reject(failure) },
    recent: { tail: () => () => {}, repeats: false },
    limits: { for: () => defaultLimits },
    clock: systemClock,
    logger: silentLogger,
    registry: new Registry(),
    maxDurationMs: 3_600_000,
  });
  const server = new HttpServer(
    serverOptions({ sockets: tailer.routes(), tenancy: { authEnabled: false, multiTenantQueries: false } }),
  );
  let port = 0;
  before(async () => {
    port = await server.start();
  });
  after(() => server.stop(AbortSignal.abort()));

  it('is closed with the reason when its history cannot be read, cut to what a close frame takes', async () => {
    const end = () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/loki/api/v1/tail?query=${encodeURIComponent('{app="x"}')}`);
      return new Promise((resolve, reject) => {
        socket.on('close', (code, reason) => resolve([code, reason.toString()])).on('error', reject);
      });
    };
    failure = new HttpError(429, 'too many of them');
    assert.deepEqual(await end(), [1011, 'too many of them']);
    failure = new HttpError(400, `not ${'é'.repeat(100)}`);
    assert.deepEqual(await end(), [1011, `not ${'é'.repeat(59)}`]);
  });
});
