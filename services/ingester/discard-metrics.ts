import { Counter, type Registry } from 'prom-client';

/** Rows that an ingester refused, in a process without a distributor; that one counts them otherwise. */
export class DiscardMetrics {
  readonly #samples: Counter<'reason' | 'tenant'>;
  readonly #bytes: Counter<'reason' | 'tenant'>;

  constructor(registry: Registry) {
    const counter = (name: string, help: string) =>
      new Counter({ name, help, labelNames: ['reason', 'tenant'], registers: [registry] });
    this.#samples = counter('loki_discarded_samples_total', 'The total number of samples that were discarded.');
    this.#bytes = counter('loki_discarded_bytes_total', 'The total number of bytes that were discarded.');
  }

  discarded(tenant: string, reason: string, rows: number, bytes: number): void {
    this.#samples.inc({ reason, tenant }, rows);
    this.#bytes.inc({ reason, tenant }, bytes);
  }
}
