import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { Version } from '../config/index.ts';

/** Memory, CPU, garbage collection and event-loop delay of the process, and `loki_build_info`. */
export function registerProcessMetrics(registry: Registry, version: Version): void {
  // Brings nodejs_eventloop_lag_* too: the delay that every request waits at least.
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'loki_build_info',
    help: 'Version that runs; the value is always 1.',
    labelNames: ['version', 'revision', 'nodeversion'],
    registers: [registry],
  })
    .labels(version.version, version.revision, process.versions.node)
    .set(1);
}
