import { Registry } from 'prom-client';
import { silentLogger } from '../../../storage/host/logger.ts';
import type { HttpServerOptions } from '../server.ts';

/** A server on a free port of the loopback, without routes; a test says what matters to it. */
export const serverOptions = (own: Partial<HttpServerOptions> = {}): HttpServerOptions => ({
  routes: [],
  sockets: [],
  prefix: '',
  address: '127.0.0.1',
  port: 0,
  maxConnections: 0,
  readTimeoutMs: 30_000,
  readHeaderTimeoutMs: 0,
  writeTimeoutMs: 30_000,
  idleTimeoutMs: 1000,
  maxFormBytes: 1000,
  compressResponses: false,
  logRequestsAtInfo: false,
  tenancy: { authEnabled: true, multiTenantQueries: false },
  registry: new Registry(),
  logger: silentLogger,
  ...own,
});
