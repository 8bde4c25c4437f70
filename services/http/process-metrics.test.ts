import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as nextTimer } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { registerProcessMetrics } from './process-metrics.ts';

describe('metrics of the process', () => {
  it('tell how long the event loop was blocked, since the start and since the last scrape', async () => {
    const registry = new Registry();
    registerProcessMetrics(registry, { version: '1.2.3', revision: 'abc' } as never);
    const longest = async (since: string): Promise<number> => {
      const name = `loptr_eventloop_delay_seconds{since="${since}",share="1"}`;
      const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(name));
      return Number(line!.slice(name.length));
    };
    let delay = 0;
    for (let i = 0; i < 50 && delay < 0.06; i++) {
      await nextTimer(); // it is looked at between timers: the first look must be over
      const until = performance.now() + 80;
      while (performance.now() < until); // blocked
      await nextTimer();
      delay = await longest('scrape');
    }
    assert.ok(delay >= 0.06, `${delay} s`);
    assert.ok((await longest('start')) >= 0.06);
  });
});
