import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import {
  type ConnectionInjector,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { GrpcHealth, type ServingStatus } from './grpc-health.ts';
import type { GrpcServerOptions, GrpcService, GrpcTls } from './grpc-server.ts';

export type GrpcProtocolOptions = Omit<GrpcServerOptions, 'address' | 'port'>;

const PUSH = '/logproto.Pusher/Push';
const NOTHING = Buffer.alloc(0);

/** gRPC for clients, `logproto.Pusher` and `grpc.health.v1.Health`, and for the other processes, on connections made elsewhere. */
export class GrpcProtocol {
  readonly #options: GrpcProtocolOptions;
  readonly #server: Server;
  readonly #tls: ReplaceableCredentials | undefined;
  readonly #connections: ConnectionInjector;
  readonly #health: GrpcHealth;
  readonly #services: readonly GrpcService[];

  constructor(options: GrpcProtocolOptions) {
    this.#options = options;
    this.#tls = options.tls && new ReplaceableCredentials(options.tls);
    this.#server = new Server({
      'grpc.max_receive_message_length': options.maxReceiveBytes,
      'grpc.max_send_message_length': options.maxSendBytes,
      ...(options.maxConcurrentStreams > 0 && { 'grpc.max_concurrent_streams': options.maxConcurrentStreams }),
    });
    const { push } = options;
    if (push !== undefined) {
      const Push: Pusher = (call, callback) => this.#push(push, call, callback);
      this.#server.addService(pusherDefinition, { Push } satisfies UntypedServiceImplementation);
    }
    this.#services = options.services ?? [];
    for (const { definition, implementation } of this.#services) this.#server.addService(definition, implementation);
    this.#health = new GrpcHealth([
      ...(push === undefined ? [] : ['logproto.Pusher']),
      ...this.#services.map(({ name }) => name),
    ]);
    this.#server.addService(this.#health.definition, this.#health.implementation);
    this.#connections = this.#server.createConnectionInjector(this.#tls ?? ServerCredentials.createInsecure());
  }

  /** Calls come on this connection from now on. */
  take(socket: Socket): void {
    this.#connections.injectConnection(socket);
  }

  /** New connections are made with this certificate. Only where there is one already. */
  replaceCertificate(context: SecureContextOptions): void {
    this.#tls?.replace(context);
  }

  setStatus(next: ServingStatus): void {
    this.#health.set(next);
  }

  /** Waits for running calls until `deadline` is aborted, then cuts them off. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#health.set('NOT_SERVING');
    this.#health.endWatches();
    for (const service of this.#services) service.endStreams?.();
    const force = (): void => this.#server.forceShutdown();
    await new Promise<void>((resolve) => {
      // An error here says that the server was not running: nothing is left to wait for.
      this.#server.tryShutdown(() => resolve());
      if (deadline.aborted) force();
      else deadline.addEventListener('abort', force, { once: true });
    });
    deadline.removeEventListener('abort', force);
  }

  #push(
    push: NonNullable<GrpcServerOptions['push']>,
    call: ServerUnaryCall<Buffer, Buffer>,
    callback: sendUnaryData<Buffer>,
  ): void {
    const started = performance.now();
    const abort = new AbortController();
    call.on('cancelled', () => abort.abort(new Error('the call was cancelled by the client')));
    const orgId = String(call.metadata.get('x-scope-orgid')[0] ?? '');
    const finish = (code: string): void => this.#options.onCall(PUSH, code, (performance.now() - started) / 1000);
    const authorization = String(call.metadata.get('authorization')[0] ?? '');
    push(orgId, call.request, abort.signal, authorization).then(
      () => {
        finish('success');
        callback(null, NOTHING);
      },
      (error: unknown) => {
        const answer = toGrpcStatus(error);
        if (answer.code === status.INTERNAL) this.#options.logger.error('push over gRPC failed', { err: error });
        finish(String(answer.code));
        callback(answer);
      },
    );
  }
}

type Pusher = (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => void;

/** TLS with a certificate that can change while the server runs. */
class ReplaceableCredentials extends ServerCredentials {
  constructor({ context, verifyClients }: GrpcTls) {
    super({ requestCert: verifyClients, rejectUnauthorized: verifyClients }, context);
  }

  replace(context: SecureContextOptions): void {
    this.updateSecureContextOptions(context);
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** Loki puts the HTTP status into gRPC's code, and its clients read it from there. */
function toGrpcStatus(error: unknown): { code: number; details: string } {
  if (error instanceof Error && 'status' in error && typeof error.status === 'number') {
    return { code: error.status, details: error.message.trimEnd() };
  }
  return { code: status.INTERNAL, details: 'internal server error, see the log of the server' };
}

/** Messages stay bytes: the distributor reads them where they lie. */
const asBytes = (bytes: Buffer): Buffer => bytes;
const pusherDefinition: ServiceDefinition = {
  Push: {
    path: PUSH,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBytes,
    requestDeserialize: asBytes,
    responseSerialize: asBytes,
    responseDeserialize: asBytes,
  },
};
