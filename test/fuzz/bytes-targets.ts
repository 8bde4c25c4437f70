import snappy from 'snappyjs';
import { decodeOtlpJson } from '../../services/distributor/otlp-json.ts';
import { type OtlpSink, valueText } from '../../services/distributor/otlp-value.ts';
import { decodeOtlpWire } from '../../services/distributor/otlp-wire.ts';
import { decodePushJson } from '../../services/distributor/push-json.ts';
import type { PushRows } from '../../services/distributor/push-rows.ts';
import { decodePushWire } from '../../services/distributor/push-wire.ts';
import type { Sliced } from '../../services/distributor/sliced.ts';
import { decodeSnappyBlock } from '../../services/distributor/snappy-block.ts';
import { BufferPool } from '../../services/rpc/buffer-pool.ts';
import { CorruptMessageError } from '../../services/rpc/ingester-messages.ts';
import { CorruptPushBatchError, decodePushBatch, encodePushBatch } from '../../services/rpc/push-batch.ts';
import { encodeRecent, RecentDecoder, RecentTooLargeError } from '../../services/rpc/recent-wire.ts';
import { CorruptBlockError, encodeBlocks, headToColumns, openBlock } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { type ObjectStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { CorruptSegmentError, SegmentReader, writeSegment } from '../../storage/segment/index.ts';
import { encodeRecordHeader, encodeSegmentHeader, paddingFor } from '../../storage/wal/format.ts';
import type { WalFile } from '../../storage/wal/index.ts';
import { scanSegment } from '../../storage/wal/segment-reader.ts';
import { LINES } from './corpus.ts';
import { mutateBytes, mutateText } from './mutate.ts';
import { expecting, isExpected, type Target } from './target.ts';

const ROWS = LINES.map((line, i) => ({
  ns: 1_795_168_800_000_000_000n + BigInt(i % 5) * 1_000_000n,
  line,
  metadata: i % 3 === 0 ? ([['trace', `t${i}`]] as const) : [],
}));
const EVERYTHING = { lines: true, metadata: null };

function blockTarget(): Target {
  const [block] = encodeBlocks(headOf(ROWS));
  return {
    name: 'block',
    run(random) {
      expecting([CorruptBlockError], () => openBlock(mutateBytes(random, block!.bytes)).columns(EVERYTHING));
    },
  };
}

function segmentTarget(): Target {
  const series = [
    { labels: [['app', 'a']] as const, blocks: encodeBlocks(headOf(ROWS)) },
    {
      labels: [['app', 'b']] as const,
      blocks: encodeBlocks(headOf(ROWS.slice(3)), { maxRows: 2, maxLineBytes: 99, maxSpanNs: 2 ** 40 }),
    },
  ];
  const { key, pieces } = writeSegment('tenant', series);
  const object = Buffer.concat(pieces);
  return {
    name: 'segment',
    async run(random) {
      const bytes = mutateBytes(random, object);
      const get: ObjectStore['get'] = async (_, range) => {
        const { offset, length } = range ?? { offset: 0, length: bytes.length };
        if (offset + length > bytes.length) throw new ObjectStoreError('invalid', 'a range past the end');
        return bytes.subarray(offset, offset + length);
      };
      try {
        const { footer, ...reader } = await SegmentReader.open({ get } as ObjectStore, key);
        for (let i = 0; i < footer.seriesCount; i++) {
          footer.labelsOf(i);
          for (const { offset, length } of footer.blocksOf(i, -(2n ** 63n), 2n ** 63n - 1n)) {
            openBlock(await get(reader.key, { offset, length })).columns(EVERYTHING);
          }
        }
      } catch (error: unknown) {
        if (!isExpected(error, [CorruptSegmentError, CorruptBlockError, ObjectStoreError])) throw error;
      }
    },
  };
}

function walTarget(): Target {
  const parts: Buffer[] = [encodeSegmentHeader(7, 1)];
  LINES.forEach((line, i) => {
    const payload = Buffer.from(line);
    parts.push(encodeRecordHeader(i % 4, i + 1, payload), payload, paddingFor(payload.length));
  });
  const segment = Buffer.concat(parts);
  return {
    name: 'wal',
    async run(random) {
      const bytes = mutateBytes(random, segment);
      const file: Pick<WalFile, 'read' | 'size'> = {
        size: async () => bytes.length,
        read: async (into, position) => bytes.copy(into, 0, position),
      };
      await scanSegment(file as WalFile, 7, () => {});
    },
  };
}

function batchTarget(): Target {
  const lines = Buffer.from(LINES.join(''));
  const lengths = Uint32Array.from(LINES, (line) => Buffer.byteLength(line));
  const starts = new Uint32Array(lengths.length);
  for (let i = 1; i < starts.length; i++) starts[i] = starts[i - 1]! + lengths[i - 1]!;
  const batch = encodePushBatch('tenant', [
    {
      labels: '{app="a"}',
      baseNs: ROWS[0]!.ns,
      firstRow: 0,
      rowCount: lengths.length,
      offsetsNs: Float64Array.from(lengths.keys()),
      source: lines,
      lineStarts: starts,
      lineLengths: lengths,
      metaIndexes: new Uint32Array(lengths.length),
      metaSetCount: 0,
      metaEnds: new Uint32Array(0),
      metaBytes: new Uint8Array(0),
      ascending: true,
    },
  ]);
  return {
    name: 'push batch',
    run(random) {
      expecting([CorruptPushBatchError], () => decodePushBatch(mutateBytes(random, batch)));
    },
  };
}

/** An answer of an ingester of another process: nothing that it says may end a worker, or take memory without bound. */
function recentTarget(): Target {
  const head = headOf(ROWS);
  const streams = [
    { labels: [['app', 'a']] as const, blocks: encodeBlocks(head), heads: [head] },
    { labels: [['app', 'b']] as const, blocks: [], heads: [headOf(ROWS.slice(3)), headOf(ROWS.slice(0, 1))] },
  ];
  const message = Buffer.concat([...encodeRecent(streams, null, ['a/segment'])]);
  return {
    name: 'recent rows',
    run(random) {
      expecting([CorruptMessageError, RecentTooLargeError], () => {
        const decoder = new RecentDecoder(1 << 20);
        decoder.add(Buffer.from(mutateBytes(random, message)));
        for (const { heads } of decoder.finish().streams) for (const one of heads) headToColumns(one, EVERYTHING);
      });
    },
  };
}

function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Every offset that a decoder hands out lies within its body. */
function checkRows(rows: PushRows, body: Buffer): void {
  for (let row = 0; row < rows.rowCount; row++) {
    const start = rows.lineStarts[row]!;
    if (start + rows.lineLengths[row]! > rows.source.length)
      throw new RangeError(`row ${row} at ${start} of ${body.length}`);
  }
}

const field = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, ...uvarint(bytes.length)]), bytes]);

function uvarint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uvarint(value >>> 7)];
}

const PUSH = field(
  1,
  Buffer.concat([
    field(1, Buffer.from('{app="a"}')),
    ...LINES.map((line) =>
      field(
        2,
        Buffer.concat([
          field(1, Buffer.from([0x08, ...uvarint(1_795_168_80), 0x10, 0x05])),
          field(2, Buffer.from(line)),
          field(3, Buffer.concat([field(1, Buffer.from('trace')), field(2, Buffer.from('abc'))])),
        ]),
      ),
    ),
  ]),
);

const wireTarget: Target = {
  name: 'push protobuf',
  run(random) {
    const body = mutateBytes(random, PUSH);
    expecting(['push_refused'], () => checkRows(finish(decodePushWire(body)), body));
  },
};

const JSON_PUSHES = [
  '{"streams":[{"stream":{"app":"a"},"values":[["1795168800000000000","line",{"trace":"x"}],["1","\\u00e9"]]}]}',
  '{"streams":[{"labels":"{app=\\"a\\"}","entries":[{"ts":"2026-11-20T10:00:00Z","line":"x"}]}]}',
  '{"streams":[]}',
];
const JSON_TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '"',
  '\\',
  '\\ud800',
  'null',
  '1e999',
  '-0',
  'true',
  '"stream"',
  '"values"',
  '[[[[',
  ' ',
  '\u0000',
  'ü',
];
const jsonTarget: Target = {
  name: 'push JSON',
  run(random) {
    const text = mutateText(random, random.pick(JSON_PUSHES), JSON_PUSHES, JSON_TOKENS);
    const body = random.below(4) === 0 ? mutateBytes(random, Buffer.from(text)) : Buffer.from(text);
    const shape = random.below(2) === 0 ? 'v1' : 'legacy';
    expecting(['push_refused'], () => checkRows(finish(decodePushJson(body, shape)), body));
  },
};

/** Reads all text that a decoder points at. */
function readingSink(body: Buffer): OtlpSink {
  const read = (attributes: Parameters<OtlpSink['resource']>[0]): void => {
    for (const { value } of attributes) valueText(value, body);
  };
  return {
    resource: read,
    scope: ({ attributes }) => read(attributes),
    record: ({ body: text, attributes }) => {
      valueText(text, body);
      read(attributes);
    },
  };
}

const text = (number: number, value: string): Buffer => field(number, Buffer.from(value));
/** A `KeyValue` of a string, of a map in an array. */
const keyValue = (key: string): Buffer => Buffer.concat([text(1, key), field(2, text(1, 'value'))]);
const nestedValue = Buffer.concat([text(1, 'n'), field(2, field(5, field(1, field(6, field(1, keyValue('k'))))))]);
const OTLP = field(
  1, // ResourceLogs
  Buffer.concat([
    field(1, field(1, keyValue('service.name'))),
    field(
      2, // ScopeLogs
      Buffer.concat([
        field(1, Buffer.concat([text(1, 'scope'), text(2, '1.0')])),
        ...LINES.map((line) =>
          field(
            2,
            Buffer.concat([
              Buffer.from([0x09, 0, 0x40, 0x57, 0xa0, 0x2d, 0x1f, 0xe9, 0x18]), // time_unix_nano
              Buffer.from([0x10, 9]),
              text(3, 'Info'),
              field(5, text(1, line)),
              field(6, nestedValue),
              field(9, Buffer.alloc(16, 0xab)),
            ]),
          ),
        ),
      ]),
    ),
  ]),
);
const otlpWireTarget: Target = {
  name: 'OTLP protobuf',
  run(random) {
    const body = mutateBytes(random, OTLP);
    expecting(['push_refused'], () => finish(decodeOtlpWire(body, readingSink(body))));
  },
};

const OTLP_JSON = [
  '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"1795168800000000000","severityNumber":9,"body":{"stringValue":"l\\u00e9"},"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"},{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}]}}}],"traceId":"0af7651916cd43dd8448eb211c80319c"}]}]}]}',
  '{"resourceLogs":[]}',
];
const otlpJsonTarget: Target = {
  name: 'OTLP JSON',
  run(random) {
    const changed = mutateText(random, random.pick(OTLP_JSON), OTLP_JSON, [
      ...JSON_TOKENS,
      '"doubleValue":1e400',
      '"bytesValue":"==="',
    ]);
    const body = random.below(4) === 0 ? mutateBytes(random, Buffer.from(changed)) : Buffer.from(changed);
    expecting(['push_refused'], () => finish(decodeOtlpJson(body, readingSink(body))));
  },
};

function snappyTarget(): Target {
  const blocks = [PUSH, Buffer.alloc(70_000, 'abcabcd'), Buffer.from(LINES.join('\n'))].map((raw) =>
    Buffer.from(snappy.compress(raw)),
  );
  const pool = new BufferPool(2 ** 22);
  return {
    name: 'snappy',
    run(random) {
      const body = mutateBytes(random, random.pick(blocks));
      expecting(['push_refused'], () => {
        using loan = finish(decodeSnappyBlock(body, 2 ** 20, pool));
        return loan.bytes.length;
      });
    },
  };
}

export function bytesTargets(): Target[] {
  return [
    blockTarget(),
    segmentTarget(),
    walTarget(),
    batchTarget(),
    recentTarget(),
    wireTarget,
    jsonTarget,
    otlpWireTarget,
    otlpJsonTarget,
    snappyTarget(),
  ];
}
