import { Counter, Gauge, type Registry } from 'prom-client';
import type { KnownStream } from './stream-labels.ts';
import type { Loss } from './validate.ts';

const LOSS_LABELS = ['reason', 'tenant', 'retention_hours', 'policy', 'format'] as const;
const RECEIVED_LABELS = ['tenant', 'retention_hours', 'is_internal_stream', 'policy', 'format'] as const;

/** In which form lines came, as the metrics name it. */
export type PushFormat = 'loki' | 'otlp';

/** What one push brought, before validation, for one place in the metrics. */
export interface Received {
  readonly stream: KnownStream;
  lines: number;
  lineBytes: number;
  metadataBytes: number;
}

/** Loki's metrics of the distributor. Counted per request, never per line. */
export class DistributorMetrics {
  readonly #bytes: Counter<(typeof RECEIVED_LABELS)[number]>;
  readonly #metadataBytes: Counter<(typeof RECEIVED_LABELS)[number]>;
  readonly #lines: Counter<(typeof RECEIVED_LABELS)[number]>;
  readonly #discardedSamples: Counter<(typeof LOSS_LABELS)[number]>;
  readonly #discardedBytes: Counter<(typeof LOSS_LABELS)[number]>;
  readonly #mutatedSamples: Counter<'reason' | 'tenant'>;
  readonly #mutatedBytes: Counter<'reason' | 'tenant'>;
  readonly #appends: Counter<'ingester'>;
  readonly #appendFailures: Counter<'ingester'>;
  readonly #shed: Counter;

  constructor(registry: Registry, replicationFactor: number, bytesInFlight: () => number) {
    const registers = [registry];
    const received = (name: string, help: string) =>
      new Counter({ name, help, labelNames: RECEIVED_LABELS, registers });
    this.#bytes = received(
      'loki_distributor_bytes_received_total',
      'The total number of uncompressed bytes received per tenant. Includes structured metadata bytes.',
    );
    this.#metadataBytes = received(
      'loki_distributor_structured_metadata_bytes_received_total',
      "The total number of uncompressed bytes received per tenant for entries' structured metadata.",
    );
    this.#lines = received('loki_distributor_lines_received_total', 'The total number of lines received per tenant.');
    this.#discardedSamples = new Counter({
      name: 'loki_discarded_samples_total',
      help: 'The total number of samples that were discarded.',
      labelNames: LOSS_LABELS,
      registers,
    });
    this.#discardedBytes = new Counter({
      name: 'loki_discarded_bytes_total',
      help: 'The total number of bytes that were discarded.',
      labelNames: LOSS_LABELS,
      registers,
    });
    this.#mutatedSamples = new Counter({
      name: 'loki_mutated_samples_total',
      help: 'The total number of samples that have been mutated.',
      labelNames: ['reason', 'tenant'],
      registers,
    });
    this.#mutatedBytes = new Counter({
      name: 'loki_mutated_bytes_total',
      help: 'The total number of bytes that have been mutated.',
      labelNames: ['reason', 'tenant'],
      registers,
    });
    this.#appends = new Counter({
      name: 'loki_distributor_ingester_appends_total',
      help: 'The total number of batch appends sent to ingesters.',
      labelNames: ['ingester'],
      registers,
    });
    this.#appendFailures = new Counter({
      name: 'loki_distributor_ingester_append_failures_total',
      help: 'The total number of failed batch appends sent to ingesters.',
      labelNames: ['ingester'],
      registers,
    });
    this.#shed = new Counter({
      name: 'loptr_distributor_pushes_shed_total',
      help: 'Pushes turned away because too many bytes were in flight.',
      registers,
    });
    new Gauge({
      name: 'loki_distributor_replication_factor',
      help: 'The configured replication factor.',
      registers,
    }).set(replicationFactor);
    new Gauge({
      name: 'loptr_distributor_inflight_bytes',
      help: 'Bytes of pushes that are being worked on.',
      registers,
      collect() {
        this.set(bytesInFlight());
      },
    });
  }

  received(tenant: string, format: PushFormat, all: Iterable<Received>): void {
    for (const { stream, lines, lineBytes, metadataBytes } of all) {
      const labels = {
        tenant,
        retention_hours: stream.retentionHours,
        is_internal_stream: String(stream.isInternal),
        policy: stream.policy,
        format,
      };
      this.#bytes.inc(labels, lineBytes + metadataBytes);
      if (metadataBytes > 0) this.#metadataBytes.inc(labels, metadataBytes);
      this.#lines.inc(labels, lines);
    }
  }

  discarded(tenant: string, format: PushFormat, losses: Iterable<Loss>): void {
    for (const { reason, stream, samples, bytes } of losses) {
      const labels = { reason, tenant, retention_hours: stream.retentionHours, policy: stream.policy, format };
      this.#discardedSamples.inc(labels, samples);
      this.#discardedBytes.inc(labels, bytes);
    }
  }

  truncated(tenant: string, losses: Iterable<Loss>): void {
    for (const { reason, samples, bytes } of losses) {
      this.#mutatedSamples.inc({ reason, tenant }, samples);
      this.#mutatedBytes.inc({ reason, tenant }, bytes);
    }
  }

  appended(ingester: string, ok: boolean): void {
    this.#appends.inc({ ingester });
    if (!ok) this.#appendFailures.inc({ ingester });
  }

  shed(): void {
    this.#shed.inc();
  }
}
