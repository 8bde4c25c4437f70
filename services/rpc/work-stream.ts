import type { Duplex } from 'node:stream';
import {
  Client,
  Metadata,
  type ServerDuplexStream,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { channelSecurity, type GrpcClientTls } from './grpc-client-tls.ts';

/** One side of a stream of messages between a query frontend and a querier (`proto/frontend.proto`). */
export interface WorkStream {
  /** Resolves when the next message may be sent. Rejects when the stream is over. */
  send(message: Uint8Array): Promise<void>;
  /**
   * Hands over messages in order; the next is not taken before the last one's promise is settled, and then the sender
   * waits. Resolves when no more will come, because the other side has ended or went away; rejects with what `onMessage`
   * throws. Called once.
   */
  receive(onMessage: (message: Buffer) => Promise<void> | void): Promise<void>;
  /** Sends nothing more. */
  end(): void;
  /** Breaks off: nothing is sent or received any more. */
  cancel(): void;
}

/** A gRPC connection on which a querier opens streams. */
export interface WorkConnection {
  open(): WorkStream;
  close(): void;
}

export interface WorkService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** The stream broke: its peer or the connection went away. */
export class WorkStreamError extends Error {
  readonly code = 'work_stream';
}

const PATH = '/loptr.frontend.QueryFrontend/Work';
/** A peer whose machine is gone sends no goodbye. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Most of a message, `proto/frontend.proto`; answers are sent in smaller pieces, queries are no larger than a form. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const same = (bytes: Buffer): Buffer => bytes;
const definition: ServiceDefinition = {
  Work: {
    path: PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
};

/** The frontend's side: `onStream` is called for each stream that a querier opens. */
export function workService(onStream: (stream: WorkStream) => void): WorkService {
  const implementation = {
    Work: (call: ServerDuplexStream<Buffer, Buffer>) => {
      // Not `destroy`: that would leave the querier without a status.
      const cancel = () => call.emit('error', new WorkStreamError('the frontend broke off'));
      onStream(new DuplexWorkStream(call as unknown as Duplex, cancel));
    },
  };
  return { definition, implementation };
}

/**
 * The querier's side. `address`: `host:port`. `tls` is asked before each stream: when its answer is another one, streams
 * that are open stay, and new ones take a new connection. Plain text where it has no answer.
 */
export function connectToFrontend(
  address: string,
  tls: () => GrpcClientTls | undefined = () => undefined,
): WorkConnection {
  let used = tls();
  let client = clientOf(address, used);
  return {
    open: () => {
      const now = tls();
      if (now !== used) {
        const next = clientOf(address, now);
        client.close();
        client = next;
        used = now;
      }
      const call = client.makeBidiStreamRequest(PATH, same, same, new Metadata());
      return new DuplexWorkStream(call as unknown as Duplex, () => call.cancel());
    },
    close: () => client.close(),
  };
}

function clientOf(address: string, tls: GrpcClientTls | undefined): Client {
  const security = channelSecurity(tls, address);
  return new Client(address, security.credentials, {
    ...security.options,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // Attempts to connect are ours: a frontend is tried again at the next look at the addresses.
    'grpc.enable_retries': 0,
  });
}

class DuplexWorkStream implements WorkStream {
  readonly #call: Duplex;
  readonly #cancel: () => void;
  readonly #ended = Promise.withResolvers<void>();
  /** Senders that wait for room. */
  #room: PromiseWithResolvers<void> | null = null;
  #isOver = false;

  constructor(call: Duplex, cancel: () => void) {
    this.#call = call;
    this.#cancel = cancel;
    call.on('error', (cause) => this.#over(cause));
    call.once('cancelled', () => this.#over());
    call.once('close', () => this.#over());
    call.on('drain', () => {
      this.#room?.resolve();
      this.#room = null;
    });
  }

  async send(message: Uint8Array): Promise<void> {
    const call = this.#call;
    if (this.#isOver || call.writableEnded) throw new WorkStreamError('the stream is over');
    if (call.write(Buffer.from(message.buffer, message.byteOffset, message.byteLength))) return;
    this.#room ??= Promise.withResolvers();
    await this.#room.promise;
  }

  /** Not `for await`: at the other side's end that destroys the stream, on which an answer may still be due. */
  async receive(onMessage: (message: Buffer) => Promise<void> | void): Promise<void> {
    const call = this.#call;
    const ended = this.#ended;
    const take = async (message: Buffer): Promise<void> => {
      try {
        const taken = onMessage(message);
        if (taken === undefined) return;
        call.pause();
        await taken;
        call.resume();
      } catch (error: unknown) {
        ended.reject(error);
      }
    };
    call.on('data', take);
    call.once('end', () => ended.resolve());
    try {
      await ended.promise;
    } finally {
      call.off('data', take);
    }
  }

  end(): void {
    if (!this.#isOver) this.#call.end();
  }

  cancel(): void {
    this.#cancel();
    this.#over();
  }

  #over(cause?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#room?.reject(new WorkStreamError('the stream is over', { cause }));
    this.#ended.resolve();
  }
}
