import { Gauge, Histogram, type Registry } from 'prom-client';

const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100];
const SIZE_BUCKETS = [1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8, 2.5e8];

/** Loki's names, so that its dashboards work. Children are kept: looking labels up costs more than observing. */
export class HttpMetrics {
  readonly #duration: Histogram<'method' | 'route' | 'status_code' | 'ws'>;
  readonly #inflight: Gauge<'method' | 'route'>;
  readonly #received: Histogram<'method' | 'route'>;
  readonly #sent: Histogram<'method' | 'route'>;
  readonly connections: Gauge<'protocol'>;
  readonly #durations = new Map<string, Histogram.Internal<'method' | 'route' | 'status_code' | 'ws'>>();
  readonly #routes = new Map<string, RouteMetrics>();

  constructor(registry: Registry) {
    const registers = [registry];
    this.#duration = new Histogram({
      name: 'loki_request_duration_seconds',
      help: 'Time (in seconds) spent serving HTTP requests.',
      labelNames: ['method', 'route', 'status_code', 'ws'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#inflight = new Gauge({
      name: 'loki_inflight_requests',
      help: 'Requests that are being answered.',
      labelNames: ['method', 'route'],
      registers,
    });
    this.#received = new Histogram({
      name: 'loki_request_message_bytes',
      help: 'Size (in bytes) of messages received in the request.',
      labelNames: ['method', 'route'],
      buckets: SIZE_BUCKETS,
      registers,
    });
    this.#sent = new Histogram({
      name: 'loki_response_message_bytes',
      help: 'Size (in bytes) of messages sent in response.',
      labelNames: ['method', 'route'],
      buckets: SIZE_BUCKETS,
      registers,
    });
    this.connections = new Gauge({
      name: 'loki_tcp_connections',
      help: 'Current number of accepted TCP connections.',
      labelNames: ['protocol'],
      registers,
    });
  }

  route(method: string, route: string): RouteMetrics {
    const key = `${method} ${route}`;
    let metrics = this.#routes.get(key);
    if (metrics === undefined) {
      metrics = {
        inflight: this.#inflight.labels(method, route),
        received: this.#received.labels(method, route),
        sent: this.#sent.labels(method, route),
      };
      this.#routes.set(key, metrics);
    }
    return metrics;
  }

  observe(method: string, route: string, status: number | string, isSocket: boolean, seconds: number): void {
    const key = `${method} ${route} ${status} ${isSocket}`;
    let child = this.#durations.get(key);
    if (child === undefined) {
      child = this.#duration.labels(method, route, String(status), String(isSocket));
      this.#durations.set(key, child);
    }
    child.observe(seconds);
  }
}

export interface RouteMetrics {
  readonly inflight: Gauge.Internal<'method' | 'route'>;
  readonly received: Histogram.Internal<'method' | 'route'>;
  readonly sent: Histogram.Internal<'method' | 'route'>;
}
