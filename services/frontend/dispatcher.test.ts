import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { HttpError } from '../http/http-error.ts';
import type { HttpRequest } from '../http/types.ts';
import type { LogPart, LogPartAnswer, PartAsker, PartRunner } from '../querier/parts.ts';
import { QueryStats } from '../querier/stats.ts';
import { type Front, startFront, startWorker } from './testing/cluster.ts';
import type { QuerierWorker } from './worker.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function frontWith(options: Parameters<typeof startFront>[0] = {}): Promise<Front> {
  const front = await startFront(options);
  ends.push(() => front.stop());
  return front;
}

/** A querier whose answers to parts of log queries come from `log`. */
function worker(
  front: Front,
  log: (part: LogPart, asker: PartAsker) => Promise<string>,
  options: { querier?: string; concurrency?: number } = {},
): QuerierWorker {
  const refuse = () => Promise.reject(new Error('nobody asks this'));
  const parts: PartRunner = {
    log: async (part, asker): Promise<LogPartAnswer> => {
      const line = await log(part, asker);
      const group = { merged: [], stream: [], structuredMetadata: [], parsed: [], error: '' };
      return {
        entries: [{ timestampNs: part.startNs, group, line }],
        stats: new QueryStats(),
        warnings: [],
        fingerprint: null,
      };
    },
    metric: refuse,
    bytes: refuse,
    fingerprints: refuse,
  };
  const one = startWorker(front, { parts, ...options });
  ends.push(() => one.stop(AbortSignal.abort()));
  return one;
}

const part = (query: string): LogPart => ({
  query,
  startNs: 1n,
  endNs: 2n,
  limit: 10,
  direction: 'forward',
  intervalNs: 0n,
  periodNs: 0n,
  wantsFingerprint: false,
});
const asker = (tenant = 'a', signal = new AbortController().signal, timeoutMs = 60_000): PartAsker => ({
  context: { tenants: { ids: [tenant], federated: false }, signal, partialSeries: false },
  timeoutMs,
});
async function ask(front: Front, query: string, who = asker()): Promise<string> {
  return (await front.remote.log(part(query), who)).entries[0]!.line;
}

/** Resolves when the condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn();
}

/** Calls that wait until they are let go. */
function gate() {
  const opened = Promise.withResolvers<void>();
  return { open: () => opened.resolve(), passed: opened.promise };
}

test('parts are answered by the queriers that take work, as many at once as they have streams', async () => {
  const front = await frontWith();
  const hold = gate();
  const seen: string[] = [];
  for (const querier of ['one', 'two']) {
    worker(
      front,
      async ({ query }) => {
        seen.push(querier);
        await hold.passed;
        return `${query} by ${querier}`;
      },
      { querier, concurrency: 2 },
    );
  }
  await until(() => front.dispatcher.streams === 4);
  const answers = ['a', 'b', 'c', 'd', 'e'].map((query) => ask(front, query));
  await until(() => seen.length === 4);
  assert.deepEqual(seen.toSorted(), ['one', 'one', 'two', 'two']);
  assert.equal(front.dispatcher.queued, 1);
  hold.open();
  for (const [i, answer] of (await Promise.all(answers)).entries())
    assert.match(answer, new RegExp(`^${'abcde'[i]} by`));
});

test('a tenant with many parts does not hold up another', async () => {
  const front = await frontWith();
  const hold = gate();
  const done: string[] = [];
  worker(
    front,
    async ({ query }) => {
      if (query === 'first') await hold.passed;
      done.push(query);
      return '';
    },
    { concurrency: 1 },
  );
  await until(() => front.dispatcher.streams === 1);
  const all = [ask(front, 'first')];
  for (let i = 0; i < 5; i++) all.push(ask(front, `many ${i}`));
  all.push(ask(front, 'other', asker('b')));
  hold.open();
  await Promise.all(all);
  assert.deepEqual(done.slice(0, 3), ['first', 'many 0', 'other']);
});

test('a tenant with too many waiting is refused; they wait for a querier to come', async () => {
  const front = await frontWith({ maxOutstandingPerTenant: 2 });
  const waiting = [ask(front, 'a'), ask(front, 'b')];
  await assert.rejects(ask(front, 'c'), { code: 'too_many_outstanding', message: 'too many outstanding requests' });
  const other = ask(front, 'd', asker('b'));
  worker(front, async ({ query }) => query);
  assert.deepEqual(await Promise.all([...waiting, other]), ['a', 'b', 'd']);
  assert.match(await front.registry.metrics(), /loki_query_scheduler_discarded_requests_total\{user="a"\} 1/);
});

test('what a querier that goes away has not answered is given to another', async () => {
  const front = await frontWith();
  const taken = gate();
  const lost = worker(
    front,
    async () => {
      taken.open();
      return new Promise<string>(() => {});
    },
    { querier: 'lost' },
  );
  const answer = ask(front, 'x');
  await taken.passed;
  const saved = worker(front, async () => 'saved', { querier: 'saver' });
  await until(() => front.dispatcher.streams === 8);
  await lost.stop(AbortSignal.abort()).catch(() => {});
  assert.equal(await answer, 'saved');
  assert.ok(saved);
});

test('a failure that may pass is tried again, as often as allowed; one of the query is not', async () => {
  const front = await frontWith();
  let calls = 0;
  worker(front, async ({ query }) => {
    calls++;
    if (query === 'passes' && calls < 3) throw Object.assign(new Error('a worker was lost'), { code: 'worker_lost' });
    if (query === 'stays') throw new Error('a bug');
    if (query === 'wrong') throw Object.assign(new Error('no such thing'), { code: 'parse_error' });
    if (query === 'late') throw Object.assign(new Error('too late'), { code: 'query_timeout' });
    return 'at last';
  });
  assert.equal(await ask(front, 'passes'), 'at last');
  calls = 0;
  await assert.rejects(ask(front, 'stays'), {
    status: 500,
    message: 'internal server error, see the log of the server',
  });
  assert.equal(calls, 6);
  calls = 0;
  await assert.rejects(ask(front, 'wrong'), { code: 'parse_error', message: 'no such thing' });
  await assert.rejects(ask(front, 'late'), { code: 'query_timeout', message: 'too late' });
  assert.equal(calls, 2);
});

test('when the client is gone a waiting part is taken back, and a querier gives a running one up', async () => {
  const front = await frontWith();
  const client = new AbortController();
  const cancelled = gate();
  const taken = gate();
  worker(
    front,
    ({ query }, { context }) => {
      if (query !== 'runs') return Promise.resolve(query);
      taken.open();
      return new Promise((_, reject) => {
        context.signal.addEventListener('abort', () => {
          cancelled.open();
          reject(context.signal.reason);
        });
      });
    },
    { concurrency: 1 },
  );
  const runs = ask(front, 'runs', asker('a', client.signal));
  const waits = ask(front, 'waits', asker('a', client.signal));
  await taken.passed;
  assert.equal(front.dispatcher.queued, 1);
  client.abort(new HttpError(499, 'gone'));
  await assert.rejects(runs, { status: 499 });
  await assert.rejects(waits, { status: 499 });
  assert.equal(front.dispatcher.queued, 0);
  await cancelled.passed;
  assert.equal(await ask(front, 'next'), 'next');
});

test('a part that takes longer than the query may is given up with the text of a query that does', async () => {
  const front = await frontWith();
  const cancelled = gate();
  worker(front, (_, { context }) => {
    context.signal.addEventListener('abort', () => cancelled.open());
    return new Promise(() => {});
  });
  await assert.rejects(ask(front, 'x', asker('a', new AbortController().signal, 20)), {
    code: 'query_timeout',
    message: /^request timed out/,
  });
  await cancelled.passed;
});

test('a querier that does not give up is cut off, and may come back', async () => {
  const front = await frontWith({ giveUpMs: 1 });
  const client = new AbortController();
  const taken = gate();
  worker(
    front,
    ({ query }) => {
      if (query !== 'hangs') return Promise.resolve(query);
      taken.open();
      return new Promise(() => {});
    },
    { concurrency: 1 },
  );
  const hangs = ask(front, 'hangs', asker('a', client.signal));
  await taken.passed;
  client.abort(new HttpError(499, 'gone'));
  await assert.rejects(hangs, { status: 499 });
  assert.equal(await ask(front, 'next'), 'next');
});

test('a querier that leaves finishes what it has and gets no more', async () => {
  const front = await frontWith();
  const hold = gate();
  const taken = gate();
  const leaver = worker(
    front,
    async () => {
      taken.open();
      await hold.passed;
      return 'finished';
    },
    { concurrency: 2 },
  );
  const answer = ask(front, 'x');
  await taken.passed;
  const left = leaver.stop(new AbortController().signal);
  await until(() => front.dispatcher.streams === 1);
  const later = ask(front, 'y');
  hold.open();
  assert.equal(await answer, 'finished');
  await left;
  await until(() => front.dispatcher.streams === 0);
  worker(front, async () => 'by another');
  assert.equal(await later, 'by another');
});

test('a frontend that stops finishes what it has, takes no more, and lets its queriers go', async () => {
  const front = await frontWith();
  const hold = gate();
  const taken = gate();
  worker(front, async () => {
    taken.open();
    await hold.passed;
    return 'finished';
  });
  const answer = ask(front, 'x');
  await taken.passed;
  const stopped = front.dispatcher.stop(new AbortController().signal);
  await assert.rejects(ask(front, 'y'), { code: 'unavailable' });
  hold.open();
  assert.equal(await answer, 'finished');
  await stopped;
});

test('a whole request comes back with its status, headers and body, at the pace of the reader', async () => {
  const front = await frontWith();
  const asked: HttpRequest[] = [];
  let sent = 0;
  const endless = gate();
  const handlers = async (request: HttpRequest) => {
    asked.push(request);
    const form = await request.form();
    if (form.get('query') === 'bad') throw Object.assign(new Error('bad query'), { code: 'parse_error' });
    if (form.get('query') !== 'much') return { status: 404, headers: { 'Content-Type': 'text/x' }, body: 'né' };
    async function* much() {
      try {
        for (;;) {
          sent += 64 * 1024;
          yield Buffer.alloc(64 * 1024, 120);
        }
      } finally {
        endless.open();
      }
    }
    return { status: 200, body: much() };
  };
  const one = startWorker(front, {
    parts: {} as PartRunner,
    concurrency: 2,
    handlerOf: (path) => (path === '/loki/api/v1/labels' ? handlers : undefined),
  });
  ends.push(() => one.stop(AbortSignal.abort()));
  const whole = (query: string) => ({
    method: 'POST',
    url: '/loki/api/v1/labels?x=1',
    route: '/loki/api/v1/labels',
    variables: { name: 'n' },
    form: String(new URLSearchParams({ query })),
    headers: { 'x-query-tags': 'Source=x' },
  });
  const small = await front.remote.whole(whole('few'), asker('t'));
  assert.deepEqual([small.status, small.headers, String(small.body)], [404, { 'Content-Type': 'text/x' }, 'né']);
  assert.deepEqual(
    [asked[0]!.tenant(), asked[0]!.params['name'], asked[0]!.header('x-query-tags'), asked[0]!.path],
    ['t', 'n', 'Source=x', '/loki/api/v1/labels'],
  );
  await assert.rejects(front.remote.whole(whole('bad'), asker()), { code: 'parse_error', message: 'bad query' });
  await assert.rejects(front.remote.whole({ ...whole('few'), route: '/none' }, asker()), { status: 500 });

  const large = await front.remote.whole(whole('much'), asker());
  let read = 0;
  for await (const piece of large.body as AsyncIterable<Uint8Array>) {
    read += piece.length;
    if (read > 1024 * 1024) break;
  }
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were made for a reader of ${read}`);
  await endless.passed;

  // A client that went away before it read anything leaves the querier free for others.
  const client = new AbortController();
  await front.remote.whole(whole('much'), asker('a', client.signal));
  client.abort(new HttpError(499, 'gone'));
  for (let i = 0; i < 4; i++) assert.equal((await front.remote.whole(whole('few'), asker())).status, 404);
});
