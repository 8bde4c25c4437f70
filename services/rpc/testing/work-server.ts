import { Server, ServerCredentials } from '@grpc/grpc-js';
import { type WorkStream, workService } from '../work-stream.ts';

export interface WorkServer {
  /** `host:port` */
  readonly address: string;
  /** Cuts off every connection. */
  stop(): void;
}

/** A gRPC server that takes nothing but the streams of queriers. */
export async function startWorkServer(onStream: (stream: WorkStream) => void): Promise<WorkServer> {
  const { definition, implementation } = workService(onStream);
  const server = new Server();
  server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return { address: `127.0.0.1:${port}`, stop: () => server.forceShutdown() };
}
