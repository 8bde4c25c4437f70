import { monitorEventLoopDelay } from 'node:perf_hooks';
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { Version } from '../config/index.ts';

/** How often the event loop is asked whether it is awake, ms. What Node records has this in it. */
const RESOLUTION_MS = 5;
const PERCENTILES = [50, 99, 100] as const;

/** Memory, CPU, garbage collection and event-loop delay of the process, and `loki_build_info`. */
export function registerProcessMetrics(registry: Registry, version: Version): void {
  collectDefaultMetrics({ register: registry });
  registerEventLoopDelay(registry);
  new Gauge({
    name: 'loki_build_info',
    help: 'Version that runs; the value is always 1.',
    labelNames: ['version', 'revision', 'nodeversion'],
    registers: [registry],
  })
    .labels(version.version, version.revision, process.versions.node)
    .set(1);
}

/** What `nodejs_eventloop_lag_*` tells of the time since the last scrape, without the pause between two looks in it. */
function registerEventLoopDelay(registry: Registry): void {
  const sinceStart = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  const sinceScrape = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  sinceStart.enable();
  sinceScrape.enable();
  new Gauge({
    name: 'loptr_eventloop_delay_seconds',
    help: 'How long the main thread, which takes pushes and answers /ready, kept others waiting; share 1 is the longest.',
    labelNames: ['since', 'share'],
    registers: [registry],
    collect() {
      for (const [since, delays] of [['start', sinceStart] as const, ['scrape', sinceScrape] as const]) {
        for (const percentile of PERCENTILES) {
          const ns = percentile === 100 ? delays.max : delays.percentile(percentile);
          const seconds = delays.count === 0 ? 0 : Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000);
          this.set({ since, share: String(percentile / 100) }, seconds);
        }
      }
      sinceScrape.reset();
    },
  });
}
