import { Counter, Gauge, type Registry } from 'prom-client';

export function patternMetrics(registry: Registry) {
  const registers = [registry];
  const name = (own: string) => `loptr_pattern_ingester_${own}`;
  return {
    lines: new Counter({
      name: name('lines_total'),
      help: 'Lines counted for a pattern.',
      registers,
    }),
    skipped: new Counter({
      name: 'loki_pattern_ingester_patterns_dropped_total',
      help: 'The total number of log lines skipped for pattern recognition.',
      labelNames: ['tenant', 'reason'],
      registers,
    }),
    droppedBytes: new Counter({
      name: name('dropped_bytes_total'),
      help: 'Bytes of pushes that were not looked at because too many waited.',
      registers,
    }),
    streams: new Gauge({ name: name('streams'), help: 'Streams whose patterns are in memory.', registers }),
    memoryBytes: new Gauge({ name: name('memory_bytes'), help: 'Memory of patterns, estimated.', registers }),
  };
}
