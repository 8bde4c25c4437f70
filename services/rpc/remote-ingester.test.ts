import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Client, credentials } from '@grpc/grpc-js';
import { conditionOf } from '../../logql/plan/index.ts';
import type { LogSelectorExpr } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import { encodeBlocks } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import type { HeadColumns } from '../../storage/block/types.ts';
import { type LogFields, silentLogger } from '../../storage/host/logger.ts';
import { ALL_TIME, batchOf, blockRows, labelsText, rowsOfRecent, until } from '../ingester/testdata/fixture.ts';
import { startIngester } from '../ingester/testdata/started.ts';
import { type IngesterClient, PushRejectedError, type RecentRequest, type RecentStream } from './ingester.ts';
import { encodeRecentRequest, messages } from './ingester-messages.ts';
import { RemoteIngester } from './remote-ingester.ts';
import { type RpcCode, RpcError } from './rpc-error.ts';
import { ingesterOf } from './testing/ingester-of.ts';
import { serve } from './testing/served-ingester.ts';

const MB = 1 << 20;
const T0 = 1_795_000_000_000_000_000n;
const ASKED: RecentRequest = {
  tenant: 't',
  matchers: [{ kind: 'matcher', name: 'app', op: '=~', value: '.+' }],
  ...ALL_TIME,
};

const failsWith = (code: RpcCode, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RpcError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, text);
  return true;
};

function headOfBytes(bytes: number): HeadColumns {
  return {
    rowCount: 1,
    baseNs: T0,
    offsetsNs: new Float64Array(1),
    lineEnds: Uint32Array.of(bytes),
    metaIndexes: new Uint32Array(1),
    metaEnds: new Uint32Array(0),
    metaBytes: new Uint8Array(0),
    bytes: new Uint8Array(new SharedArrayBuffer(bytes)),
    ascending: true,
    metadataBytes: 0,
  };
}

/** An answer of `count` times 4 MB. */
function largeAnswer(count: number): RecentStream[] {
  const head = headOfBytes(4 * MB);
  return Array.from({ length: count }, (_, i) => ({ labels: [['app', `${i}`]], blocks: [], heads: [head] }));
}

describe('calls to an ingester of another process', () => {
  it('are given up with the reason of the signal, and then the server is free again', async () => {
    let given: AbortSignal | undefined;
    await using served = await serve(
      ingesterOf((_, signal) => {
        given = signal;
        return new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)));
      }),
    );
    const abort = new AbortController();
    const asked = served.remote.recent(ASKED, abort.signal);
    await until(() => served.service.active === 1, 'the call arrives');
    abort.abort(new Error('nobody waits any more'));
    await assert.rejects(asked, { message: 'nobody waits any more' });
    await until(() => served.service.active === 0, 'the server gives up as well');
    assert.equal(given!.aborted, true);
    await assert.rejects(served.remote.recent(ASKED, abort.signal), { message: 'nobody waits any more' });
    await assert.rejects(served.remote.push(batchOf('t'), abort.signal), { message: 'nobody waits any more' });
  });

  it('stop a server in the middle of a large answer, which it does not keep in memory', async () => {
    await using served = await serve(
      ingesterOf(async () => largeAnswer(500)),
      { maxAnswerBytes: 12 * MB },
    );
    await assert.rejects(served.remote.recent(ASKED), { code: 'resource_exhausted' });
    await until(() => served.service.active === 0, 'the server gives up');
  });

  it('hold what they are answered from no longer than it is sent, whoever ends the call', async () => {
    const held = new Set<string>();
    let name = '';
    await using served = await serve(
      ingesterOf(async ({ lease }) => {
        const own = name;
        held.add(own);
        lease!.onEnd(() => held.delete(own));
        if (own === 'no answer') throw new Error('no answer');
        return largeAnswer(own === 'whole' ? 3 : 500);
      }),
      { maxAnswerBytes: 4096 * MB },
    );
    const ask = (as: string, signal?: AbortSignal) => {
      name = as;
      return served.remote.recent(ASKED, signal);
    };
    await ask('whole');
    await assert.rejects(ask('no answer'), RpcError);
    const client = new AbortController();
    const given = ask('given up', client.signal);
    await until(() => held.has('given up'), 'the answer begins');
    client.abort(new Error('given up'));
    await assert.rejects(given, { message: 'given up' });
    await until(() => held.size === 0, 'what was lent is given back');
    // Who takes nothing and says nothing, until his time is over.
    const slow = new Client(served.address, credentials.createInsecure());
    try {
      name = 'takes nothing';
      const call = slow.makeServerStreamRequest(
        '/loptr.Ingester/Recent',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        messages.recentRequest.encode(encodeRecentRequest(ASKED)),
        { deadline: Date.now() + 300 },
      );
      call.on('error', () => {}); // its time is over
      await until(() => held.has('takes nothing'), 'the answer begins');
      await until(() => held.size === 0, 'what was lent is given back');
    } finally {
      slow.close();
    }
    await until(() => served.service.active === 0, 'the server gives up');
  });

  it('fail when the server goes in the middle of an answer', async () => {
    await using served = await serve(
      ingesterOf(async () => largeAnswer(500)),
      { maxAnswerBytes: 4096 * MB },
    );
    const asked = served.remote.recent(ASKED);
    await until(() => served.service.active === 1, 'the call arrives');
    const failed = assert.rejects(asked, (error) => error instanceof RpcError);
    await served.server.stop(AbortSignal.abort());
    await failed;
    await assert.rejects(
      served.remote.push(batchOf('t')),
      failsWith('unavailable', /^rpc error: code = Unavailable desc = ./),
    );
  });

  it('come to their end when the client is closed, also pushes that wait behind others', async () => {
    const first = Promise.withResolvers<void>();
    let taken = 0;
    await using served = await serve({
      ...ingesterOf(async () => []),
      push: async () => {
        if (taken++ === 0) await first.promise;
      },
    });
    const pushes = [served.remote.push(batchOf('t')), served.remote.push(batchOf('t'))];
    await until(() => taken === 1, 'the first push arrives');
    served.remote.close();
    first.resolve();
    await Promise.all(pushes);
    assert.equal(taken, 2);
  });

  it('tell a message that is too large for the server', async () => {
    await using served = await serve(ingesterOf(async () => []));
    const batch = batchOf('t', { labels: '{app="a"}', rows: [[T0, 'x'.repeat(5 * MB)]] });
    await assert.rejects(
      served.remote.push(batch),
      failsWith('resource_exhausted', /ResourceExhausted desc = .*larger than/),
    );
  });

  it('say nothing of what went wrong inside the server, which logs it', async () => {
    const logged: LogFields[] = [];
    const broken = ingesterOf(() => Promise.reject(new Error('a secret')));
    const logger = { ...silentLogger, error: (_: string, fields?: LogFields) => void logged.push(fields ?? {}) };
    const calls: string[] = [];
    const onCall = (method: string, code: string) => void calls.push(`${method} ${code}`);
    await using served = await serve(broken, {}, { logger, onCall });
    const inside = failsWith('internal', /desc = internal server error, see the log of the server$/);
    await assert.rejects(served.remote.recent(ASKED), inside);
    await assert.rejects(served.remote.push(batchOf('t')), inside);
    assert.deepEqual(
      logged.map(({ err }) => (err as Error).message),
      ['a secret', 'nobody pushes here'],
    );
    assert.deepEqual(calls, ['/loptr.Ingester/Recent 13', '/loptr.Ingester/Push success']);
  });

  it('are not answered from half of the rows', async () => {
    await using served = await serve(
      ingesterOf(async () => []),
      {},
      { isReadable: () => false },
    );
    const early = failsWith('unavailable', /still reading its write-ahead log/);
    await assert.rejects(served.remote.recent(ASKED), early);
    await assert.rejects(served.remote.stats(ASKED), early);
    await assert.rejects(served.remote.series(ASKED), early);
  });

  it('tell a refusal of a flush', async () => {
    const stopped: IngesterClient = {
      ...ingesterOf(async () => []),
      flush: () => Promise.reject(new PushRejectedError(503, 'the ingester is not running')),
    };
    await using served = await serve(stopped);
    await assert.rejects(served.remote.flush(), {
      code: 'push_rejected',
      status: 503,
      message: 'the ingester is not running',
    });
  });

  it('refuse bytes that are no batch', async () => {
    await using own = await startIngester();
    await using served = await serve(own.ingester);
    await assert.rejects(
      served.remote.push(Buffer.from('nonsense')),
      failsWith('invalid_argument', /push batch: cut short/),
    );
  });

  it('leave out blocks whose filter denies the condition, and keep their streams', async () => {
    const blockOf = (line: string) => encodeBlocks(headOf([{ ns: T0, line }]))[0]!;
    const streams: RecentStream[] = [
      { labels: [['app', 'a']], blocks: [blockOf('an error of the harddisk'), blockOf('all is well')], heads: [] },
      { labels: [['app', 'b']], blocks: [blockOf('nothing here')], heads: [headOf([{ ns: T0, line: 'x' }])] },
    ];
    await using served = await serve(ingesterOf(async () => streams));
    const blocksOf = async (query: string) => {
      const condition = conditionOf((parseQuery(query) as LogSelectorExpr).stages);
      return (await served.remote.recent({ ...ASKED, condition })).map(({ blocks }) => blocks.length);
    };
    assert.deepEqual(await blocksOf('{app="a"}'), [2, 1]);
    assert.deepEqual(await blocksOf('{app="a"} |= "harddisk"'), [1, 0]);
    assert.deepEqual(await blocksOf('{app="a"} |~ "(harddisk|all is well)"'), [2, 0]);
    const many = Array.from({ length: 1000 }, (_, i) => `|= "needle ${i}"`).join(' ');
    assert.deepEqual(await blocksOf(`{app="a"} ${many}`), [2, 1], 'a condition that is too long is not sent');
  });
});

describe('a tail of another process', () => {
  it('hears once that the server stops', async () => {
    await using own = await startIngester();
    await using served = await serve(own.ingester);
    const closed: Error[] = [];
    served.remote.tail(
      't',
      ASKED.matchers,
      () => {},
      (error) => closed.push(error),
    );
    await served.remote.recent(ASKED);
    assert.equal(served.service.active, 1);
    await served.server.stop(new AbortController().signal);
    await until(() => closed.length > 0, 'the tail hears of it');
    assert.equal(served.service.active, 0);
    assert.ok(failsWith('unavailable', /the ingester stops/)(closed[0]));
    served.remote.close();
    assert.equal(closed.length, 1);
  });

  it('keeps neither pushes nor questions waiting, however many there are', async () => {
    await using own = await startIngester();
    await using served = await serve(own.ingester, {}, {}, { maxConcurrentStreams: 3 });
    const stops = Array.from({ length: 5 }, () => served.remote.tail('t', ASKED.matchers, () => {}));
    await served.remote.push(batchOf('t', { labels: '{app="a"}', rows: [[T0, 'x']] }));
    assert.equal((await served.remote.recent(ASKED)).length, 1);
    for (const stop of stops) stop();
    await until(() => served.service.active === 0, 'the server is free');
  });

  it('that cannot be begun is not waited for once the question is given up', async (t) => {
    const remote = new RemoteIngester({ id: 'i', address: await silence(t, true) });
    t.after(() => remote.close());
    remote.tail('t', ASKED.matchers, () => {});
    await assert.rejects(remote.recent(ASKED, AbortSignal.timeout(50)), { name: 'TimeoutError' });
  });

  it('hears that nobody can be followed, and that its own handler failed', async () => {
    await using own = await startIngester();
    await using served = await serve(own.ingester);
    const failed = Promise.withResolvers<Error>();
    const broken = () => {
      throw new Error('cannot take it');
    };
    served.remote.tail('t', ASKED.matchers, broken, failed.resolve);
    await served.remote.recent(ASKED);
    await served.remote.push(batchOf('t', { labels: '{app="a"}', rows: [[T0, 'x']] }));
    assert.equal((await failed.promise).message, 'cannot take it');
    await until(() => served.service.active === 0, 'the server is free');
    await served.server.stop(AbortSignal.abort());
    const closed = Promise.withResolvers<Error>();
    served.remote.tail('t', ASKED.matchers, () => {}, closed.resolve);
    assert.ok(failsWith('unavailable', /./)(await closed.promise));
  });
});

/** What a stopped process looks like from outside: connections are taken, by the kernel, and nothing comes back. */
async function silence(t: TestContext, speaksHttp2: boolean): Promise<string> {
  const server = speaksHttp2 ? createHttp2Server(() => {}) : createServer(() => {});
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('an ingester that hangs', () => {
  for (const speaksHttp2 of [true, false]) {
    it(`costs a push no more than the timeout, and keeps no more than was agreed (${speaksHttp2 ? 'later' : 'at once'})`, async (t) => {
      const address = await silence(t, speaksHttp2);
      const remote = new RemoteIngester({ id: 'i', address, pushTimeoutMs: 300, maxInflightBytes: 2 * MB });
      t.after(() => remote.close());
      const batch = batchOf('t', { labels: '{app="a"}', rows: [[T0, 'x'.repeat(MB * 0.9)]] });
      const late = failsWith(
        'deadline_exceeded',
        /^rpc error: code = DeadlineExceeded desc = context deadline exceeded$/,
      );
      const waiting = [remote.push(batch), remote.push(batch)].map((push) => assert.rejects(push, late));
      await assert.rejects(
        remote.push(batch),
        failsWith('resource_exhausted', /bytes wait for ingester i .* too slow/),
      );
      assert.equal(remote.inflightBytes, 2 * batch.length);
      await Promise.all(waiting);
      assert.equal(remote.inflightBytes, 0);
      await assert.rejects(remote.push(batch), late);
    });
  }

  it('costs a query no more than its deadline', async (t) => {
    const remote = new RemoteIngester({ id: 'i', address: await silence(t, true) });
    t.after(() => remote.close());
    await assert.rejects(remote.recent(ASKED, AbortSignal.timeout(100)), { name: 'TimeoutError' });
  });
});

describe('the rows that an ingester hands over to the object store', () => {
  it('are in the answer or in a segment that the answer names, whatever happens meanwhile', async () => {
    await using own = await startIngester();
    const { ingester, sink } = own;
    const known = new Set<string>();
    const onSegments = (keys: readonly string[], tenant: string): void => {
      assert.equal(tenant, 't');
      for (const key of keys) known.add(key);
    };
    // As late as can be: the answer is on its way while the next segment is published.
    const published = () => [...sink.published];
    await using served = await serve(ingester, { onSegments }, { published });
    let pushed = 0;
    let isDone = false;
    const pushes = async (): Promise<void> => {
      while (!isDone) {
        const rows = Array.from({ length: 5 }, (_, i) => [T0 + BigInt(pushed + i), `${pushed + i}`] as const);
        const streams = rows.map((row, i) => ({ labels: `{app="${i}"}`, rows: [row] }));
        await served.remote.push(batchOf('t', ...streams));
        pushed += 5;
      }
    };
    const flushes = async (): Promise<void> => {
      while (!isDone) await served.remote.flush();
    };
    const background = Promise.all([pushes(), flushes()]);
    try {
      for (let round = 0; round < 150; round++) {
        const before = pushed;
        const recent = rowsOfRecent(await served.remote.recent(ASKED));
        const seen = new Set(recent.map((row) => Number(row.slice(row.lastIndexOf(' ')))));
        for (const key of known) {
          for (const { blocks, labels } of sink.segments.get(key)!) {
            for (const row of blocks.flatMap(blockRows)) seen.add(Number(row.slice(row.lastIndexOf(' '))));
            assert.match(labelsText(labels), /^\{app="\d"\}$/);
          }
        }
        for (let i = 0; i < before; i++) assert.ok(seen.has(i), `row ${i} of ${before} in round ${round}`);
      }
    } finally {
      isDone = true;
      await background;
    }
    assert.ok(known.size > 3, 'segments were stored meanwhile');
  });

  it('are named by every kind of answer', async () => {
    await using own = await startIngester();
    await own.ingester.push(batchOf('t', { labels: '{app="a"}', rows: [[T0, 'x']] }));
    await own.ingester.flush();
    let named: readonly string[] = [];
    const onSegments = async (keys: readonly string[]): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      named = keys;
    };
    await using served = await serve(own.ingester, { onSegments }, { published: () => [...own.sink.published] });
    const { remote } = served;
    const questions = [
      () => remote.recent(ASKED),
      () => remote.series(ASKED),
      () => remote.labelNames(ASKED),
      () => remote.labelValues('app', ASKED),
      () => remote.stats(ASKED),
    ];
    for (const ask of questions) {
      named = [];
      await ask();
      assert.deepEqual(named, [...own.sink.published], ask.toString());
      assert.equal(named.length, 1);
    }
  });
});
