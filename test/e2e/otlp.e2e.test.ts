import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { OTLPLogExporter as JsonExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtobufExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs';
import { nowNs, type StreamResult, TestClient } from '../harness/client.ts';
import { TestServer } from '../harness/server.ts';

const cwd = await mkdtemp(join(tmpdir(), 'loptr-otlp-'));
const server = await TestServer.start({ cwd });
const client = new TestClient(server.url);
after(async () => {
  await server.stop();
  await rm(cwd, { recursive: true });
});

/** More than one batch of the exporter. */
const NUMBERED = 1200;

type Config = NonNullable<ConstructorParameters<typeof ProtobufExporter>[0]>;
const url = `${server.url}/otlp/v1/logs`;
const gzip = { compression: 'gzip' as NonNullable<Config['compression']> };
const exporters: Readonly<Record<string, () => LogRecordExporter>> = {
  protobuf: () => new ProtobufExporter({ url }),
  'protobuf-gzip': () => new ProtobufExporter({ url, ...gzip }),
  json: () => new JsonExporter({ url }),
  'json-gzip': () => new JsonExporter({ url, ...gzip }),
};

interface Row {
  readonly ns: bigint;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly line: string;
}

async function rowsOf(service: string): Promise<Row[]> {
  const query = `{service_name="${service}"}`;
  const params = { query, limit: 5000, start: nowNs() - 3600_000_000_000n, end: nowNs() + 60_000_000_000n };
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  const { result } = await client.range<StreamResult>({ ...params, direction: 'forward' }, { headers });
  return result.flatMap(({ stream, values }) =>
    values.map(([ns, line, categories]) => ({
      ns: BigInt(ns),
      labels: stream,
      metadata: categories!.structuredMetadata ?? {},
      line,
    })),
  );
}

for (const [name, exporter] of Object.entries(exporters)) {
  test(`what OpenTelemetry's exporter sends as ${name} is found once, with everything it says`, async () => {
    const provider = new LoggerProvider({
      resource: resourceFromAttributes({
        'service.name': name,
        'service.namespace': 'e2e',
        'host.arch': 'arm64',
        'process.command_args': ['node', 'main.ts'],
      }),
      processors: [new BatchLogRecordProcessor({ exporter: exporter() })],
    });
    const logger = provider.getLogger('lib', '1.2.3');
    const timestamp = new Date();
    logger.emit({
      timestamp,
      observedTimestamp: new Date(timestamp.getTime() + 5),
      severityNumber: 17,
      severityText: 'ERROR',
      body: 'it broke: <é>',
      attributes: { 'http.status': 500, ratio: 0.25, ok: false, 'a--b': 'x', list: ['a', 'b'] },
    });
    logger.emit({ timestamp, severityNumber: 9, body: { message: 'structured', deep: { n: 1, list: [true, null] } } });
    for (let n = 0; n < NUMBERED; n++) logger.emit({ timestamp, body: `line ${n}` });
    await provider.forceFlush();
    await provider.shutdown();

    const rows = await rowsOf(name);
    assert.equal(rows.length, NUMBERED + 2);
    for (const { ns, labels } of rows) {
      assert.deepEqual(labels, { service_name: name, service_namespace: 'e2e' });
      assert.equal(ns, BigInt(timestamp.getTime()) * 1_000_000n);
    }
    const numbers = new Set(rows.map(({ line }) => line));
    for (let n = 0; n < NUMBERED; n++) assert.ok(numbers.has(`line ${n}`), `line ${n}`);

    const { metadata } = rows.find(({ line }) => line === 'it broke: <é>')!;
    assert.deepEqual(metadata, {
      a_b: 'x',
      detected_level: 'error',
      host_arch: 'arm64',
      http_status: '500',
      list: '["a","b"]',
      observed_timestamp: String(BigInt(timestamp.getTime() + 5) * 1_000_000n),
      ok: 'false',
      process_command_args: '["node","main.ts"]',
      ratio: '0.25',
      scope_name: 'lib',
      scope_version: '1.2.3',
      severity_number: '17',
      severity_text: 'ERROR',
    });
    const structured = rows.find(({ line }) => line.startsWith('{'))!;
    assert.equal(structured.line, '{"deep":{"list":[true,null],"n":1},"message":"structured"}');
    assert.equal(structured.metadata['detected_level'], 'info');
  });
}

test('fields of what came are detected', async () => {
  const range = { start: nowNs() - 3600_000_000_000n, end: nowNs() + 60_000_000_000n };
  const { fields } = await client.json<{ fields: { label: string; type: string; parsers: string[] | null }[] }>(
    '/loki/api/v1/detected_fields',
    { query: '{service_name="json"} |= "it broke"', ...range },
  );
  const found = new Map(fields.map(({ label, type, parsers }) => [label, { type, parsers }]));
  assert.deepEqual(found.get('http_status'), { type: 'int', parsers: null });
  assert.deepEqual(found.get('ratio'), { type: 'float', parsers: null });
  const { detectedLabels } = await client.json<{ detectedLabels: { label: string; cardinality: number }[] }>(
    '/loki/api/v1/detected_labels',
    range,
  );
  assert.deepEqual(detectedLabels, [
    { label: 'service_name', cardinality: Object.keys(exporters).length },
    { label: 'service_namespace', cardinality: 1 },
  ]);
});

test('a refusal is a status message, also of a tenant; only a missing one is told as text', async () => {
  const own = await mkdtemp(join(tmpdir(), 'loptr-otlp-auth-'));
  await using strict = await TestServer.start({ cwd: own, args: ['-auth.enabled=true'] });
  const post = async (tenant: string | null, body: string): Promise<[number, string | null, string]> => {
    const headers = { 'Content-Type': 'application/json', ...(tenant === null ? {} : { 'X-Scope-OrgID': tenant }) };
    const answer = await fetch(`${strict.url}/otlp/v1/logs`, { method: 'POST', headers, body });
    return [answer.status, answer.headers.get('content-type'), await answer.text()];
  };
  const status = (text: string): string => `\u0012${String.fromCharCode(text.length)}${text}`;
  const binary = 'application/octet-stream';
  assert.deepEqual(await post(null, '{}'), [401, 'text/plain; charset=utf-8', 'no org id\n']);
  assert.deepEqual(await post('a|b', '{}'), [400, binary, status('multiple org IDs present')]);
  const nothing = 'error at least one valid stream is required for ingestion';
  assert.deepEqual(await post('a', '{}'), [422, binary, status(nothing)]);
  const rules = await fetch(`${strict.url}/prometheus/api/v1/alerts`, { headers: { 'X-Scope-OrgID': 'a|b' } });
  assert.deepEqual(
    [rules.status, await rules.json()],
    [400, { status: 'error', data: null, errorType: 'bad_data', error: 'too many org ids found' }],
  );
  await strict.stop();
  await rm(own, { recursive: true });
});
