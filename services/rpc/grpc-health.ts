import { readFileSync } from 'node:fs';
import {
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import protobuf from 'protobufjs';

export type ServingStatus = 'SERVING' | 'NOT_SERVING';

const CODES = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;

interface HealthCheckRequest {
  readonly service: string;
}

interface HealthCheckResponse {
  readonly status: number;
}

type Watcher = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

/** `grpc.health.v1.Health`: the whole server (empty name) and its services share one status. */
export class GrpcHealth {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<Watcher>();
  #status: ServingStatus = 'NOT_SERVING';

  constructor(services: readonly string[]) {
    this.#services = new Set(['', 'grpc.health.v1.Health', ...services]);
    this.definition = defineHealth();
    this.implementation = {
      Check: (
        call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>,
        callback: sendUnaryData<HealthCheckResponse>,
      ) => {
        if (!this.#services.has(call.request.service)) callback({ code: status.NOT_FOUND, details: 'unknown service' });
        else callback(null, { status: CODES[this.#status] });
      },
      Watch: (call: Watcher) => {
        // An unknown service is told as a status: it may come later.
        call.write({ status: this.#services.has(call.request.service) ? CODES[this.#status] : CODES.SERVICE_UNKNOWN });
        this.#watchers.add(call);
        call.on('cancelled', () => {
          this.#watchers.delete(call);
          call.end();
        });
      },
    };
  }

  set(next: ServingStatus): void {
    if (next === this.#status) return;
    this.#status = next;
    for (const call of this.#watchers) {
      if (this.#services.has(call.request.service)) call.write({ status: CODES[next] });
    }
  }

  /** Ends the watches, which would otherwise hold a graceful stop for ever. */
  endWatches(): void {
    for (const call of this.#watchers) call.end();
    this.#watchers.clear();
  }
}

function defineHealth(): ServiceDefinition {
  const source = readFileSync(new URL('../../proto/health.proto', import.meta.url), 'utf8');
  const { root } = protobuf.parse(source, { keepCase: true });
  const request = root.lookupType('grpc.health.v1.HealthCheckRequest');
  const response = root.lookupType('grpc.health.v1.HealthCheckResponse');
  const method = (name: string, responseStream: boolean) => ({
    path: `/grpc.health.v1.Health/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: (value: HealthCheckRequest) => Buffer.from(request.encode(request.fromObject(value)).finish()),
    requestDeserialize: (bytes: Buffer) => request.decode(bytes) as unknown as HealthCheckRequest,
    responseSerialize: (value: HealthCheckResponse) =>
      Buffer.from(response.encode(response.fromObject(value)).finish()),
    responseDeserialize: (bytes: Buffer) => response.decode(bytes) as unknown as HealthCheckResponse,
  });
  return { Check: method('Check', false), Watch: method('Watch', true) };
}
