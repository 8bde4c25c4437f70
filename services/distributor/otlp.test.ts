import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { Limits } from '../config/limits.ts';
import { HttpError } from '../http/http-error.ts';
import type { HttpRequest, HttpResponse } from '../http/types.ts';
import { pushRoutes } from './http.ts';
import type { DistributorOptions } from './service.ts';
import { NOW_MS, NOW_NS, type StoredEntry, setUp } from './testing/setup.ts';

type Value = string | number | Value[] | { readonly [key: string]: Value };

function any(value: Value): object {
  if (typeof value === 'string') return { stringValue: value };
  if (typeof value === 'number') return { intValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(any) } };
  return { kvlistValue: { values: pairs(value) } };
}
const pairs = (values: Readonly<Record<string, Value>>): object[] =>
  Object.entries(values).map(([key, value]) => ({ key, value: any(value) }));

interface Logs {
  readonly resource?: Readonly<Record<string, Value>>;
  readonly scope?: object;
  readonly records?: readonly object[];
}
const request = (...logs: Logs[]): string =>
  JSON.stringify({
    resourceLogs: logs.map(({ resource = { 'service.name': 's' }, scope, records = [line('x')] }) => ({
      resource: { attributes: pairs(resource) },
      scopeLogs: [{ scope, logRecords: records }],
    })),
  });
const line = (body: Value, more: object = {}): object => ({ timeUnixNano: NOW_NS, body: any(body), ...more });

const INDEXED = { otlpIndexAttributes: ['service.name', 'k8s.container.name', 'k8s.pod.name'] };

async function post(
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
  limits: Partial<Limits> = {},
  options: Partial<DistributorOptions> = INDEXED,
): Promise<{ readonly answer: HttpResponse; readonly stored: readonly StoredEntry[]; readonly text: string }> {
  const { distributor, stored } = setUp(limits, options);
  const route = pushRoutes(distributor).find(({ path }) => path === '/otlp/v1/logs')!;
  const bytes = Buffer.from(body);
  const all: Readonly<Record<string, string>> = {
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    ...headers,
  };
  const answer = await route.handler({
    signal: new AbortController().signal,
    header: (name: string) => all[name] ?? '',
    tenant: () => 'T',
    body: async () => bytes,
  } as Partial<HttpRequest> as HttpRequest);
  return { answer, stored: stored(), text: statusText(answer) };
}

/** The message in a google.rpc.Status, of less than 128 bytes. */
function statusText({ body }: HttpResponse): string {
  if (body === undefined) return '';
  const bytes = Buffer.from(body as Uint8Array);
  assert.deepEqual([bytes[0], bytes[1]], [0x12, bytes.length - 2]);
  return bytes.toString('utf8', 2);
}

async function only(logs: Logs, limits: Partial<Limits> = {}): Promise<StoredEntry> {
  const { answer, stored } = await post(request(logs), {}, { discover_log_levels: false, ...limits });
  assert.equal(answer.status, 204);
  assert.equal(stored.length, 1);
  return stored[0]!;
}

describe('a record', () => {
  test('becomes a line with the metadata of its fields, its resource and its scope', async () => {
    const entry = await only({
      resource: { 'service.name': 'shop', 'host.arch': 'x', 'no-value': '' },
      scope: { name: 'lib', version: '1.2', attributes: pairs({ 'a--b': 1 }), droppedAttributesCount: 2 },
      records: [
        line('hello', {
          observedTimeUnixNano: '5',
          attributes: pairs({ 'http.status': 200, deep: { 'y.z': 'v', n: { '1': 'w' } }, list: ['a', 2], gone: {} }),
          severityNumber: 17,
          severityText: 'ERROR',
          droppedAttributesCount: 3,
          flags: 1,
          traceId: '0AF7651916CD43DD8448EB211C80319C',
          spanId: 'b7ad6b7169203331',
        }),
      ],
    });
    assert.deepEqual(entry, {
      stream: '{service_name="shop"}',
      ns: BigInt(NOW_NS),
      line: 'hello',
      metadata: {
        a_b: '1',
        deep_n_1: 'w',
        deep_y_z: 'v',
        dropped_attributes_count: '3',
        flags: '1',
        host_arch: 'x',
        http_status: '200',
        list: '["a",2]',
        observed_timestamp: '5',
        scope_dropped_attributes_count: '2',
        scope_name: 'lib',
        scope_version: '1.2',
        severity_number: '17',
        severity_text: 'ERROR',
        span_id: 'b7ad6b7169203331',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
      },
    });
  });

  test('has its body as line, whatever that is', async () => {
    const bodies: [Value, string][] = [
      ['', ''],
      [5, '5'],
      [{ m: 'v', a: [1] }, '{"a":[1],"m":"v"}'],
    ];
    for (const [body, text] of bodies) assert.equal((await only({ records: [line(body)] })).line, text);
  });

  test('is as old as it says, else as it was observed, else as it came', async () => {
    const { observed, came } = {
      observed: { timeUnixNano: '0', observedTimeUnixNano: NOW_NS.replace(/0$/, '7') },
      came: { timeUnixNano: 0 },
    };
    const first = await only({ records: [line('x', observed)] });
    assert.equal(first.ns, BigInt(NOW_NS) + 7n);
    assert.deepEqual(first.metadata, {});
    assert.equal((await only({ records: [line('x', came)] })).ns, BigInt(NOW_MS) * 1_000_000n);
  });

  test('of equal names keeps its last, and what the resource says over what it says itself', async () => {
    const resource = { 'service.name': 's', both: 'resource' };
    const attributes = [...pairs({ 'a.b': '1', both: 'record' }), ...pairs({ a_b: '2' })];
    const { metadata } = await only({ resource, records: [line('x', { attributes })] });
    assert.deepEqual(metadata, { a_b: '2', both: 'resource' });
  });

  test('is found a level by severity', async () => {
    const { stored } = await post(request({ records: [line('x', { severityNumber: 9 })] }));
    assert.deepEqual(stored[0]!.metadata, { detected_level: 'info', severity_number: '9' });
  });
});

describe('the stream of a record', () => {
  const stream = async (logs: Logs, limits: Partial<Limits> = {}): Promise<string> => (await only(logs, limits)).stream;

  test('has the indexed attributes of the resource as labels', async () => {
    assert.equal(
      await stream({ resource: { 'service.name': 'a', 'k8s.pod.name': 'p-0', x: 'y' } }),
      '{k8s_pod_name="p-0", service_name="a"}',
    );
  });

  test('is named after the first indexed attribute that can name a service', async () => {
    assert.equal(
      await stream({ resource: { 'k8s.pod.name': 'p', 'k8s.container.name': 'c' } }),
      '{k8s_container_name="c", k8s_pod_name="p", service_name="c"}',
    );
    assert.equal(await stream({ resource: { app: 'not indexed' } }), '{service_name="unknown_service"}');
    assert.equal(await stream({ resource: { 'service.name': '' } }), '{service_name="unknown_service"}');
  });

  test('gets no service name where the tenant wants none discovered', async () => {
    const limits = { discover_service_name: [] };
    assert.equal(await stream({ resource: { 'k8s.container.name': 'c' } }, limits), '{k8s_container_name="c"}');
    const { answer, text } = await post(request({ resource: {} }), {}, limits);
    assert.equal(answer.status, 400);
    assert.equal(text, 'error at least one label pair is required per stream');
  });

  test('follows the rules of the tenant, the first that fits', async () => {
    const otlp_config: Limits['otlp_config'] = {
      resource_attributes: {
        ignore_defaults: true,
        attributes_config: [
          { action: 'drop', attributes: ['secret.key'] },
          { action: 'index_label', regex: 'team.*|secret.*' },
        ],
      },
      scope_attributes: [{ action: 'drop', regex: 's.*' }],
      log_attributes: [
        { action: 'index_label', attributes: ['env'] },
        { action: 'drop', attributes: ['noise'] },
      ],
      severity_text_as_label: true,
    };
    const entry = await only(
      {
        resource: { 'service.name': 'meta', 'secret.key': '1', 'secret.id': '2', 'team.name': 't', myteam: 'm' },
        scope: { attributes: pairs({ size: 1, kind: 'k' }) },
        records: [line('x', { severityText: 'WARN', attributes: pairs({ env: 'dev', noise: 'n', user: 'u' }) })],
      },
      { otlp_config },
    );
    assert.equal(entry.stream, '{env="dev", secret_id="2", severity_text="WARN", team_name="t"}');
    assert.deepEqual(entry.metadata, {
      kind: 'k',
      myteam: 'm',
      service_name: 'meta',
      severity_text: 'WARN',
      user: 'u',
    });
  });

  test('keeps its rows in order when streams take turns', async () => {
    const limits = { otlp_config: { log_attributes: [{ action: 'index_label' as const, attributes: ['n'] }] } };
    const records = ['a', 'b', 'a', '', 'b'].map((n, i) =>
      line(`${n}${i}`, { timeUnixNano: String(BigInt(NOW_NS) + BigInt(i)), attributes: n === '' ? [] : pairs({ n }) }),
    );
    const { stored } = await post(request({ records }, { records: [line('again')] }), {}, limits);
    assert.deepEqual(
      stored.map((entry) => [entry.stream, entry.line, Number(entry.ns - BigInt(NOW_NS))]),
      [
        ['{n="a", service_name="s"}', 'a0', 0],
        ['{n="a", service_name="s"}', 'a2', 2],
        ['{n="b", service_name="s"}', 'b1', 1],
        ['{n="b", service_name="s"}', 'b4', 4],
        ['{service_name="s"}', '3', 3],
        ['{service_name="s"}', 'again', 0],
      ],
    );
  });
});

describe('the answer', () => {
  test('is 204 for each encoding that Loki knows', async () => {
    const body = request({});
    const lz4 = Buffer.concat([
      Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40, 0x70, 0xdf]),
      Buffer.from(Uint32Array.of(body.length + 0x80000000).buffer),
      Buffer.from(body),
      Buffer.alloc(4),
    ]);
    const sent: [string, Buffer][] = [
      ['', Buffer.from(body)],
      ['gzip', gzipSync(body)],
      ['zstd', zstdCompressSync(body)],
      ['lz4', lz4],
    ];
    for (const [encoding, bytes] of sent) {
      const { answer, stored } = await post(bytes, { 'content-encoding': encoding });
      assert.deepEqual(answer, { status: 204 });
      assert.equal(stored.length, 1, encoding);
    }
  });

  const refusals: [what: string, body: string, headers: Record<string, string>, status: number, text: string][] = [
    ['nothing to store', '{}', {}, 422, 'error at least one valid stream is required for ingestion'],
    [
      'a resource without records',
      request({ records: [] }),
      {},
      422,
      'error at least one valid stream is required for ingestion',
    ],
    ['another content type', '{}', { 'content-type': 'text/plain' }, 400, 'content type: text/plain is not supported'],
    [
      'a content type with parameters',
      '{}',
      { 'content-type': 'application/json; charset=utf-8' },
      400,
      'content type: application/json; charset=utf-8 is not supported',
    ],
    [
      'another encoding',
      '{}',
      { 'content-encoding': 'deflate' },
      400,
      'unsupported content encoding deflate: only gzip, lz4 and zstd are supported',
    ],
    ['gzip that is none', '{}      {}', { 'content-encoding': 'gzip' }, 400, 'gzip: invalid header'],
    ['zstd that is none', '{}', { 'content-encoding': 'zstd' }, 400, 'invalid input: magic number mismatch'],
    ['lz4 that is none', '{}  ', { 'content-encoding': 'lz4' }, 400, 'lz4: bad magic number'],
    [
      'an attribute without a name',
      request({ resource: { '': 'x' } }),
      {},
      400,
      'symbolizer lookup: label name is empty',
    ],
    [
      'an attribute of which no name is left',
      request({ resource: { a: { b: 'x' }, é: 'y' } }),
      {},
      400,
      'symbolizer lookup: normalization for label name "é" resulted in invalid name "_"',
    ],
  ];
  for (const [what, body, headers, status, text] of refusals) {
    test(`is a ${status} with a status message for ${what}`, async () => {
      const { answer, text: message } = await post(body, headers);
      assert.equal(answer.status, status);
      assert.deepEqual(answer.headers, { 'Content-Type': 'application/octet-stream' });
      assert.equal(message, text);
    });
  }

  test('keeps the good records of a push that is refused in part', async () => {
    const { answer, stored, text } = await post(
      request({ records: [line('good'), line('long', { body: any('x'.repeat(20)) })] }),
      {},
      { max_line_size: 10 },
    );
    assert.equal(answer.status, 400);
    assert.equal(
      text,
      `max entry size '10' bytes exceeded for stream '{service_name="s"}' while adding an entry with length '20' bytes`,
    );
    assert.deepEqual(
      stored.map((entry) => entry.line),
      ['good'],
    );
  });

  test('is 503 where another push would get 500, for a client to come back', async () => {
    const { answer } = await post(request({}), {}, {}, { ...INDEXED, ingesters: () => undefined });
    assert.equal(answer.status, 503);
  });

  test('carries messages of any length', async () => {
    const name = 'n'.repeat(300);
    const { distributor } = setUp({ max_label_name_length: 10 }, { otlpIndexAttributes: [name] });
    const route = pushRoutes(distributor).find(({ path }) => path === '/otlp/v1/logs')!;
    const body = Buffer.from(request({ resource: { [name]: 'v' } }));
    const answer = await route.handler({
      signal: new AbortController().signal,
      header: (header: string) => (header === 'content-type' ? 'application/json' : ''),
      tenant: () => 'T',
      body: async () => body,
    } as Partial<HttpRequest> as HttpRequest);
    const bytes = Buffer.from(answer.body as Uint8Array);
    assert.equal(bytes[0], 0x12);
    assert.equal((bytes[1]! & 0x7f) + 128 * bytes[2]!, bytes.length - 3);
  });

  test('is left to the server when no tenant is named', async () => {
    const { distributor } = setUp();
    const route = pushRoutes(distributor).find(({ path }) => path === '/otlp/v1/logs')!;
    const refuse = (status: number) => ({
      tenant: () => {
        throw new HttpError(status, 'no');
      },
    });
    await assert.rejects(async () => route.handler(refuse(401) as Partial<HttpRequest> as HttpRequest), {
      status: 401,
    });
    const answer = await route.handler(refuse(400) as Partial<HttpRequest> as HttpRequest);
    assert.deepEqual([answer.status, statusText(answer)], [400, 'no']);
  });
});

test('exports are counted as such, what records share once', async () => {
  const { distributor, registry } = setUp({}, INDEXED);
  await distributor.pushOtlp({
    tenant: 'T',
    contentType: 'application/json',
    contentEncoding: '',
    body: Buffer.from(
      request({
        resource: { 'service.name': 's', host: 'abc' },
        scope: { name: 'lib' },
        records: [line('one', { attributes: pairs({ k: 'v' }) }), line('two'), line('three')],
      }),
    ),
  });
  const counted = async (name: string): Promise<string | undefined> =>
    new RegExp(`^${name}\\{[^}]*format="otlp"\\} (\\d+)$`, 'm').exec(await registry.metrics())?.[1];
  assert.equal(await counted('loki_distributor_lines_received_total'), '3');
  const metadata = 'host'.length + 'abc'.length + 'scope_name'.length + 'lib'.length + 'k'.length + 'v'.length;
  assert.equal(await counted('loki_distributor_structured_metadata_bytes_received_total'), String(metadata));
  assert.equal(await counted('loki_distributor_bytes_received_total'), String(metadata + 'onetwothree'.length));
});
