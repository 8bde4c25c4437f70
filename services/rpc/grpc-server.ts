import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Logger } from '../../storage/host/logger.ts';
import type { ServingStatus } from './grpc-health.ts';
import type { GrpcProtocol } from './grpc-protocol.ts';

export interface GrpcServerOptions {
  readonly address: string;
  readonly port: number;
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  /** Calls at once on one connection; 0: no bound. */
  readonly maxConcurrentStreams: number;
  /**
   * Takes one `logproto.PushRequest` as it came, with the metadata `authorization` ('' when there is none). Rejects with
   * an error that has a `status` of HTTP. Absent where no pushes are taken.
   */
  readonly push?: (orgId: string, message: Buffer, signal: AbortSignal, authorization: string) => Promise<void>;
  /** For other processes of the installation. They know no users: who reaches the port can call them. */
  readonly services?: readonly GrpcService[];
  readonly tls?: GrpcTls | undefined;
  /** One call ended: full method name, `success` or the code, seconds. */
  readonly onCall: (method: string, code: string, seconds: number) => void;
  readonly logger: Logger;
}

/** A service beside those that every server has. */
export interface GrpcService {
  /** Full name, as health is asked for it. */
  readonly name: string;
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  /** Ends calls that have no end of their own, so that the server can stop. */
  endStreams?(): void;
}

export interface GrpcTls {
  readonly context: SecureContextOptions;
  /** Clients must have a certificate that the context's CA vouches for. */
  readonly verifyClients: boolean;
}

/**
 * Listens for gRPC. The library is loaded with the first connection, since many a process never has one; and at the start
 * where other processes are to call, or where certificates are to be tried.
 */
export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #listener = createServer((socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  #context: SecureContextOptions | undefined;
  #status: ServingStatus = 'NOT_SERVING';
  #protocol: GrpcProtocol | null = null;
  #loading: Promise<GrpcProtocol> | null = null;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#context = options.tls?.context;
  }

  /** Resolves with the port once connections are taken. */
  async start(): Promise<number> {
    const { address, port, services = [], tls } = this.#options;
    if (services.length > 0 || tls !== undefined) await this.#load();
    this.#listener.listen({ host: address === '' ? '0.0.0.0' : address, port });
    await once(this.#listener, 'listening'); // rejects where there is an error instead
    return (this.#listener.address() as AddressInfo).port;
  }

  /** New connections are made with this certificate. Only where there is one already. */
  replaceCertificate(context: SecureContextOptions): void {
    this.#context = context;
    this.#protocol?.replaceCertificate(context);
  }

  setStatus(next: ServingStatus): void {
    this.#status = next;
    this.#protocol?.setStatus(next);
  }

  /** Waits for running calls until `deadline` is aborted, then cuts them off. */
  async stop(deadline: AbortSignal): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()));
    const cutOff = (): void => {
      for (const socket of this.#sockets) socket.destroy();
    };
    if (this.#protocol === null) cutOff();
    await this.#protocol?.stop(deadline);
    // The last answers are still being sent.
    if (deadline.aborted) cutOff();
    else deadline.addEventListener('abort', cutOff, { once: true });
    await closed;
    deadline.removeEventListener('abort', cutOff);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    if (this.#protocol === null) void this.#acceptLater(socket);
    else this.#protocol.take(socket);
  }

  /** What the client sends meanwhile waits in the socket. */
  async #acceptLater(socket: Socket): Promise<void> {
    const ignore = (): void => {}; // who hangs up this soon has asked nothing
    socket.on('error', ignore);
    try {
      const protocol = await this.#load();
      if (!socket.destroyed) protocol.take(socket);
    } catch (error: unknown) {
      this.#options.logger.error('gRPC cannot be spoken', { err: error });
      socket.destroy();
    } finally {
      socket.removeListener('error', ignore);
    }
  }

  #load(): Promise<GrpcProtocol> {
    this.#loading ??= import('./grpc-protocol.ts').then(
      ({ GrpcProtocol }) => {
        const { tls } = this.#options;
        const protocol = new GrpcProtocol({ ...this.#options, tls: tls && { ...tls, context: this.#context! } });
        protocol.setStatus(this.#status);
        this.#protocol = protocol;
        return protocol;
      },
      (error: unknown) => {
        this.#loading = null; // the next connection tries again
        throw error;
      },
    );
    return this.#loading;
  }
}
