import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { PushError } from './push-error.ts';
import { type PushRows, ZERO_TIME_SECONDS } from './push-rows.ts';
import { decodePushWire } from './push-wire.ts';
import { runSliced } from './sliced.ts';

const root = protobuf.loadSync(new URL('../../proto/logproto.proto', import.meta.url).pathname);
const PushRequest = root.lookupType('logproto.PushRequest');

interface Entry {
  timestamp?: { seconds: number; nanos: number };
  line: string;
  structuredMetadata: { name: string; value: string }[];
}
interface Stream {
  labels: string;
  entries: Entry[];
}

function decode(body: Buffer): PushRows {
  for (const work = decodePushWire(body); ; ) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** The rows as objects, to compare them with what protobufjs makes. */
function streamsOf(rows: PushRows): Stream[] {
  const text = (start: number, length: number) => rows.source.toString('utf8', start, start + length);
  return rows.streams.map((stream) => ({
    labels: rows.source.toString('utf8', stream.labelsStart, stream.labelsEnd),
    entries: Array.from({ length: stream.rowCount }, (_, i) => {
      const row = stream.firstRow + i;
      const pairs = Array.from({ length: rows.pairCounts[row]! }, (_, pair) => {
        const at = 4 * (rows.firstPairs[row]! + pair);
        const [a, b, c, d] = rows.pairs.subarray(at, at + 4) as unknown as [number, number, number, number];
        return { name: text(a, b), value: text(c, d) };
      });
      const line = text(rows.lineStarts[row]!, rows.lineLengths[row]!);
      const seconds = rows.seconds[row]!;
      const timestamp = { seconds, nanos: rows.nanos[row]! };
      return { ...(seconds === ZERO_TIME_SECONDS ? {} : { timestamp }), line, structuredMetadata: pairs };
    }),
  }));
}

const metadataText = fc.oneof(
  fc.string(),
  fc.constantFrom(126, 127, 128, 300).map((length) => 'v'.repeat(length)),
);
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    timestamp: fc.record({
      seconds: fc.oneof(
        fc.integer({ min: -60_000_000_000, max: 250_000_000_000 }),
        fc.integer({ min: 1_600_000_000, max: 1_900_000_000 }),
        fc.constantFrom(2 ** 28 - 1, 2 ** 28, 2 ** 31, 2 ** 35 - 1, 2 ** 35),
      ),
      nanos: fc.oneof(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(0, 1, 127, 128, 2 ** 28, 999_999_999)),
    }),
    line: fc.string({ unit: 'grapheme', maxLength: 300 }),
    structuredMetadata: fc.array(fc.record({ name: metadataText, value: metadataText }), { maxLength: 4 }),
  },
  { requiredKeys: ['line', 'structuredMetadata'] },
);
const streams: fc.Arbitrary<Stream[]> = fc.array(
  fc.record({ labels: fc.string(), entries: fc.array(entry, { maxLength: 20 }) }),
  { maxLength: 4 },
);

test('a push reads as protobufjs reads it', () => {
  fc.assert(
    fc.property(streams, (pushed) => {
      const body = Buffer.from(PushRequest.encode(PushRequest.fromObject({ streams: pushed })).finish());
      const oracle = PushRequest.toObject(PushRequest.decode(body), {
        longs: Number,
        arrays: true,
        defaults: false,
      }) as {
        streams?: Partial<Stream>[];
      };
      const expected = (oracle.streams ?? []).map((stream) => ({
        labels: stream.labels ?? '',
        entries: (stream.entries ?? []).map((e) => ({
          ...(e.timestamp ? { timestamp: { seconds: e.timestamp.seconds ?? 0, nanos: e.timestamp.nanos ?? 0 } } : {}),
          line: e.line ?? '',
          structuredMetadata: e.structuredMetadata.map((p) => ({ name: p.name ?? '', value: p.value ?? '' })),
        })),
      }));
      assert.deepEqual(streamsOf(decode(body)), expected);
    }),
  );
});

test('a message cut anywhere, or with a byte changed, decodes or is refused with 400', () => {
  fc.assert(
    fc.property(streams, fc.nat(), fc.nat(), fc.nat(255), (pushed, cut, at, value) => {
      const body = Buffer.from(PushRequest.encode(PushRequest.fromObject({ streams: pushed })).finish());
      const changed = Buffer.from(body);
      if (changed.length > 0) changed[at % changed.length] = value;
      for (const bytes of [body.subarray(0, cut % (body.length + 1)), changed]) {
        try {
          const rows = decode(bytes);
          for (let row = 0; row < rows.rowCount; row++) {
            assert.ok(rows.lineStarts[row]! + rows.lineLengths[row]! <= bytes.length);
          }
        } catch (error) {
          assert.ok(error instanceof PushError && error.status === 400, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

test('lines of any length are as long as they were sent', () => {
  const lengths = [0, 1, 3, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152];
  const entries = lengths.map((length) => ({
    timestamp: { seconds: 1_700_000_000, nanos: 5 },
    line: 'x'.repeat(length),
  }));
  const body = Buffer.from(
    PushRequest.encode(PushRequest.fromObject({ streams: [{ labels: '{}', entries }] })).finish(),
  );
  const rows = decode(body);
  assert.deepEqual([...rows.lineLengths.subarray(0, rows.rowCount)], lengths);
  assert.deepEqual(streamsOf(rows)[0]!.entries.at(-1)!.timestamp, { seconds: 1_700_000_000, nanos: 5 });
});

test('nanoseconds of a second and more are refused, however they are written', () => {
  const entryWith = (nanos: string): Buffer => {
    const time = hex(`08 80 e2 cf aa 06 10 ${nanos}`);
    const text = Buffer.concat([Buffer.from([0x0a, time.length]), time, hex('12 0a 61 61 61 61 61 61 61 61 61 61')]);
    const stream = Buffer.concat([Buffer.from([0x12, text.length]), text]);
    return Buffer.concat([Buffer.from([0x0a, stream.length]), stream]);
  };
  assert.equal(decode(entryWith('ff 93 eb dc 03')).nanos[0], 999_999_999);
  assert.equal(decode(entryWith('85 80 80 80 80 00')).nanos[0], 5);
  for (const nanos of ['80 94 eb dc 03', 'ff ff ff ff 0f', 'ff ff ff ff ff ff ff ff ff 01', '80 80 80 80 10'])
    assert.throws(() => decode(entryWith(nanos)), { status: 400, message: /nanos not in range/ });
});

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('unknown fields of every type are passed over, in a message and in an entry', () => {
  const unknown = '50 80 01 59 0102030405060708 5a 02 aabb 5b 08 01 5c 5d 01020304';
  const inEntry = `12 01 78 ${unknown}`;
  const size = (text: string) => hex(text).length.toString(16).padStart(2, '0');
  const stream = `0a 02 7b7d 12 ${size(inEntry)} ${inEntry} ${unknown}`;
  const rows = decode(hex(`${unknown} 0a ${size(stream)} ${stream} ${unknown}`));
  assert.deepEqual(streamsOf(rows), [{ labels: '{}', entries: [{ line: 'x', structuredMetadata: [] }] }]);
});

test('the last of a repeated single field counts', () => {
  const rows = decode(hex('0a 0e 0a 01 61 0a 01 62 12 06 12 01 78 12 01 79'));
  assert.deepEqual(streamsOf(rows), [{ labels: 'b', entries: [{ line: 'y', structuredMetadata: [] }] }]);
});

test('an entry without a time has the zero time, one with an empty time has 1970', () => {
  const rows = decode(hex('0a 09 12 03 12 01 78 12 02 0a 00'));
  assert.deepEqual([...rows.seconds.subarray(0, 2)], [ZERO_TIME_SECONDS, 0]);
});

const malformed: readonly (readonly [bytes: string, message: string])[] = [
  ['0a', 'unexpected EOF'],
  ['0a 05 0a', 'unexpected EOF'],
  ['0a ff ff ff ff ff ff ff ff ff 7f', 'unexpected EOF'],
  ['0a ff ff ff ff ff ff ff ff ff ff 01', 'proto: integer overflow'],
  ['08 01', 'proto: wrong wireType = 0 for field Streams'],
  ['00 01', 'proto: PushRequest: illegal tag 0'],
  ['54 00', 'proto: PushRequest: wiretype end group for non-group'],
  ['67 61', 'proto: illegal wireType 7'],
  ['53 53', 'unexpected EOF'],
  ['59 01', 'unexpected EOF'],
  ['0a 06 12 04 0a 02 10 ff', 'unexpected EOF'],
];
for (const [bytes, message] of malformed) {
  test(`the bytes ${bytes} are refused with: ${message}`, () => {
    assert.throws(() => decode(hex(bytes)), { status: 400, message });
  });
}

test('a time that protobuf does not allow is refused', () => {
  for (const timestamp of [
    { seconds: 253402300800, nanos: 0 },
    { seconds: -62135596801, nanos: 0 },
    { seconds: 0, nanos: 1e9 },
    { seconds: 0, nanos: -1 },
  ]) {
    const request = PushRequest.fromObject({ streams: [{ entries: [{ timestamp }] }] });
    assert.throws(() => decode(Buffer.from(PushRequest.encode(request).finish())), {
      status: 400,
      message: /^timestamp: seconds:/,
    });
  }
});

test('groups in groups end at a bound, not at the end of the stack', () => {
  assert.throws(() => decode(Buffer.alloc(100_000, 0x53)), { status: 400 });
});

test('a large push gives other work a turn', async () => {
  const line = 'x'.repeat(1000);
  const entries = Array.from({ length: 40_000 }, (_, i) => ({ timestamp: { seconds: i, nanos: 0 }, line }));
  const body = Buffer.from(
    PushRequest.encode(PushRequest.fromObject({ streams: [{ labels: '{}', entries }] })).finish(),
  );
  let pauses = 0;
  const work = decodePushWire(body);
  const counted = (function* () {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      pauses++;
      yield;
    }
  })();
  const rows = await runSliced(counted);
  assert.equal(rows.rowCount, 40_000);
  assert.ok(pauses > 500, `${pauses} pauses in ${body.length} bytes`);
});
