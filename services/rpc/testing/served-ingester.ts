import { silentLogger } from '../../../storage/host/logger.ts';
import { GrpcServer, type GrpcServerOptions } from '../grpc-server.ts';
import type { IngesterClient } from '../ingester.ts';
import { IngesterService, type IngesterServiceOptions } from '../ingester-service.ts';
import { RemoteIngester, type RemoteIngesterOptions } from '../remote-ingester.ts';

export interface Served extends AsyncDisposable {
  readonly service: IngesterService;
  readonly server: GrpcServer;
  readonly remote: RemoteIngester;
  readonly address: string;
}

/** Any ingester behind a real server on a free port, and a client of it. */
export async function serve(
  client: IngesterClient,
  options: Partial<RemoteIngesterOptions> = {},
  serviceOptions: Partial<IngesterServiceOptions> = {},
  serverOptions: Partial<GrpcServerOptions> = {},
): Promise<Served> {
  const service = new IngesterService({ client, published: () => [], logger: silentLogger, ...serviceOptions });
  const server = new GrpcServer({
    address: '127.0.0.1',
    port: 0,
    maxReceiveBytes: 4 << 20,
    maxSendBytes: 4 << 20,
    maxConcurrentStreams: 100,
    push: () => Promise.reject(new Error('nobody pushes here')),
    services: [service],
    onCall: () => {},
    logger: silentLogger,
    ...serverOptions,
  });
  const address = `127.0.0.1:${await server.start()}`;
  server.setStatus('SERVING');
  const remote = new RemoteIngester({ id: client.id, address, ...options });
  return {
    service,
    server,
    remote,
    address,
    [Symbol.asyncDispose]: async () => {
      remote.close();
      await server.stop(AbortSignal.abort());
    },
  };
}
