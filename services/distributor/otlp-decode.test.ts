import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { decodeOtlpJson } from './otlp-json.ts';
import { type OtlpAttribute, type OtlpSink, type OtlpValue, type Span, spanText } from './otlp-value.ts';
import { decodeOtlpWire } from './otlp-wire.ts';
import { PushError } from './push-error.ts';
import { runSliced } from './sliced.ts';

const root = protobuf.loadSync(new URL('../../proto/otlp-logs.proto', import.meta.url).pathname);
const Export = root.lookupType('otlp.ExportLogsServiceRequest');

/** What a sink is told, as plain values. */
class Recorder implements OtlpSink {
  readonly seen: unknown[] = [];
  readonly #source: Buffer;

  constructor(source: Buffer) {
    this.#source = source;
  }

  resource(attributes: readonly OtlpAttribute[]): void {
    this.seen.push({ resource: this.#attributes(attributes) });
  }

  scope({ name, version, attributes, droppedAttributes }: Parameters<OtlpSink['scope']>[0]): void {
    const [ownName, ownVersion] = [this.#text(name), this.#text(version)];
    this.seen.push({ scope: [ownName, ownVersion, this.#attributes(attributes), droppedAttributes] });
  }

  record({ severityText, body, attributes, ...rest }: Parameters<OtlpSink['record']>[0]): void {
    this.seen.push({
      ...rest,
      severityText: this.#text(severityText),
      body: this.#value(body),
      attributes: this.#attributes(attributes),
    });
  }

  #text(span: Span): string {
    return spanText(this.#source, span);
  }

  #attributes(attributes: readonly OtlpAttribute[]): unknown {
    return attributes.map(({ key, value }) => [this.#text(key), this.#value(value)]);
  }

  #value(value: OtlpValue): unknown {
    if (value.kind === 'string') return { kind: 'string', text: this.#text(value.span) };
    if (value.kind === 'array') return { kind: 'array', values: value.values.map((item) => this.#value(item)) };
    if (value.kind === 'map') return { kind: 'map', entries: this.#attributes(value.entries) };
    return value;
  }
}

async function wire(body: Uint8Array): Promise<unknown[]> {
  const source = Buffer.from(body);
  const recorder = new Recorder(source);
  await runSliced(decodeOtlpWire(source, recorder));
  return recorder.seen;
}

async function json(body: unknown): Promise<unknown[]> {
  const source = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  const recorder = new Recorder(source);
  await runSliced(decodeOtlpJson(source, recorder));
  return recorder.seen;
}

const encode = (message: object): Uint8Array => Export.encode(Export.fromObject(message)).finish();
/** A message that holds nothing but another one. */
const nested = (field: number, message: Buffer): Buffer =>
  Buffer.concat([
    protobuf.Writer.create()
      .uint32((field << 3) | 2)
      .uint32(message.length)
      .finish(),
    message,
  ]);
const oneRecord = (record: object): object => ({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] });

interface Known {
  readonly [name: string]: unknown;
}
const recordOf = (seen: unknown[]): Known => seen.at(-1) as Known;

describe('an export', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 8 });
  const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b));
  const { value } = fc.letrec<{ value: object; leaf: object }>((tie) => ({
    leaf: fc.oneof(
      text.map((stringValue) => ({ stringValue })),
      fc.boolean().map((boolValue) => ({ boolValue })),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => ({ intValue: String(n) })),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((doubleValue) => ({ doubleValue })),
      hex(3).map((bytes) => ({ bytesValue: bytes.toString('base64') })),
      fc.constant({}),
    ),
    value: fc.oneof(
      { depthSize: 'small' },
      tie('leaf'),
      fc.array(tie('value'), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
      fc
        .array(fc.record({ key: text, value: tie('value') }), { maxLength: 3 })
        .map((values) => ({ kvlistValue: { values } })),
    ),
  }));
  const attributes = fc.array(fc.record({ key: text, value }), { maxLength: 3 });
  const nanos = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
  const record = fc.record({
    timeUnixNano: nanos,
    observedTimeUnixNano: nanos,
    severityNumber: fc.integer({ min: 0, max: 24 }),
    severityText: text,
    body: value,
    attributes,
    droppedAttributesCount: fc.nat(),
    flags: fc.nat(),
    traceId: hex(16).map((id) => id.toString('hex')),
    spanId: hex(8).map((id) => id.toString('hex')),
  });
  const scope = fc.record({ name: text, version: text, attributes, droppedAttributesCount: fc.nat() });
  const scopeLogs = fc.array(fc.record({ scope, logRecords: fc.array(record, { maxLength: 3 }) }), { maxLength: 3 });
  const resource = fc.record({ attributes });
  const request = fc.array(fc.record({ resource, scopeLogs }), { maxLength: 3 });

  /** In JSON ids are hexadecimal, where protobufjs wants base64. */
  const forWire = (logs: object): object =>
    JSON.parse(JSON.stringify(logs), (key, item: unknown) =>
      key === 'traceId' || key === 'spanId' ? Buffer.from(item as string, 'hex').toString('base64') : item,
    ) as object;

  test('says the same as protobuf and as JSON', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (resourceLogs) => {
        assert.deepEqual(await wire(encode(forWire({ resourceLogs }))), await json({ resourceLogs }));
      }),
    );
  });

  test('is either read or refused when it is damaged', async () => {
    const bytes = encode(forWire({ resourceLogs: fc.sample(request, { seed: 7, numRuns: 20 }).flat() }));
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), async (at, byte) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = byte;
        await wire(damaged).catch((error: unknown) => assert.ok(error instanceof PushError, String(error)));
      }),
    );
  });

  test('has its resource and scopes told before the records, wherever they stand', async () => {
    const seen = await json(
      '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}],"scope":{"name":"lib"}}],"resource":{"attributes":[{"key":"a","value":{"boolValue":true}}]}}]}',
    );
    assert.deepEqual(seen.slice(0, 2), [
      { resource: [['a', { kind: 'bool', value: true }]] },
      { scope: ['lib', '', [], 0] },
    ]);
    assert.equal(seen.length, 3);
  });

  test('may have its scopes at their old place', async () => {
    const old = { resourceLogs: [{ deprecatedScopeLogs: [{ logRecords: [{ flags: 1 }] }] }] };
    assert.equal(recordOf(await wire(encode(old)))['flags'], 1);
    assert.equal(recordOf(await json(old))['flags'], 1);
  });
});

describe('OTLP as JSON', () => {
  test('takes names in snake case, numbers as text, severities by name, and nulls for nothing', async () => {
    const record = recordOf(
      await json(
        '{"resource_logs":[{"resource":null,"scope_logs":[{"scope":null,"log_records":[{"time_unix_nano":1795168920000000001,' +
          '"severity_number":"SEVERITY_NUMBER_WARN2","severity_text":null,"flags":"3","trace_id":"","body":null,"attributes":null,"other":[1]}]}]}]}',
      ),
    );
    assert.equal(record['timeNs'], 1795168920000000001n);
    assert.equal(record['severityNumber'], 14);
    assert.equal(record['flags'], 3);
    assert.deepEqual(record['body'], { kind: 'empty' });
  });

  const bad: [what: string, record: object][] = [
    ['a negative time', { timeUnixNano: '-1' }],
    ['a time beyond 64 bits', { timeUnixNano: '18446744073709551616' }],
    ['a fraction for an integer', { body: { intValue: 1.5 } }],
    ['an integer beyond 64 bits', { body: { intValue: '9223372036854775808' } }],
    ['a text for a number', { body: { doubleValue: 'x' } }],
    ['a number for a text', { severityText: 5 }],
    ['a text for a boolean', { body: { boolValue: 'true' } }],
    ['bytes that are not base64', { body: { bytesValue: 'a' } }],
    ['an id of a wrong length', { traceId: 'abcd' }],
    ['an id that is not hexadecimal', { spanId: 'zzzzzzzzzzzzzzzz' }],
    ['an unknown severity', { severityNumber: 'LOUD' }],
  ];
  for (const [what, record] of bad) {
    test(`refuses ${what}`, async () => {
      await assert.rejects(
        json(oneRecord(record)),
        (error: unknown) => error instanceof PushError && error.status === 400,
      );
    });
  }

  test('refuses what is no object, and values nested without end', async () => {
    for (const body of ['', 'x', '[]', '{"resourceLogs":{}}', '{"resourceLogs":[5]}']) {
      await assert.rejects(json(body), PushError, body);
    }
    const deep = '{"arrayValue":{"values":['.repeat(200) + ']}}'.repeat(200);
    await assert.rejects(
      json(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":${deep}}]}]}]}`),
      /nested too deeply/,
    );
  });
});

describe('OTLP as protobuf', () => {
  test('refuses ids of a wrong length, and takes those of zeros for none', async () => {
    const id = (bytes: number): object => oneRecord({ traceId: Buffer.alloc(bytes).toString('base64') });
    await assert.rejects(wire(encode(id(15))), { status: 400, message: 'invalid length for TraceID' });
    assert.equal(recordOf(await wire(encode(id(16))))['traceId'], '');
  });

  test('refuses values nested without end', async () => {
    let value: Buffer = Buffer.from([0x0a, 1, 0x78]);
    for (let i = 0; i < 200; i++) value = nested(5, nested(1, value));
    const request = nested(1, nested(2, nested(2, nested(5, value))));
    await assert.rejects(wire(request), /nested too deeply/);
  });
});
