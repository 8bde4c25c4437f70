import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, loadConfig } from './load.ts';

function load(yaml: string, args: readonly string[] = [], environment: Record<string, string> = {}) {
  return loadConfig(['-config.file=loki.yaml', ...args], {
    environment,
    readFile: () => yaml,
    fileExists: (path) => path === 'loki.yaml',
  });
}

function problemsOf(yaml: string, args: readonly string[] = []): readonly string[] {
  try {
    load(yaml, args);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('without a file the program runs on its own defaults', () => {
  const { config, file, warnings } = loadConfig([], { fileExists: () => false });
  assert.equal(config.auth_enabled, false);
  assert.equal(config.common.replication_factor, 1);
  assert.equal(file, undefined);
  assert.deepEqual(warnings, []);
});

test("with a file Loki's defaults hold for what it does not say", () => {
  const { config } = load('server: {http_listen_port: 4000}\n');
  assert.equal(config.auth_enabled, true);
  assert.equal(config.server.http_listen_port, 4000);
  assert.equal(config.limits_config.max_line_size, 256 * 1024);
});

test('the command line wins over the file, the file over the defaults', () => {
  const yaml = 'server: {http_listen_port: 4000, grpc_listen_port: 4001}\n';
  const { config } = load(yaml, ['-server.http-listen-port=5000', '--distributor.max-line-size', '1KB']);
  assert.equal(config.server.http_listen_port, 5000);
  assert.equal(config.server.grpc_listen_port, 4001);
  assert.equal(config.limits_config.max_line_size, 1024);
});

test('a switch without a value is on, and =false is off', () => {
  assert.equal(load('{}', ['-querier.multi-tenant-queries-enabled']).config.querier.multi_tenant_queries_enabled, true);
  assert.equal(load('{}', ['-auth.enabled=false']).config.auth_enabled, false);
});

test('durations are milliseconds, sizes are bytes to the base of 1024', () => {
  const { config } = load(
    'limits_config:\n  max_query_length: 30d1h\n  retention_period: 0\n  per_stream_rate_limit: 10GB\n  max_line_size: 8KB\n' +
      'ingester: {chunk_idle_period: 1h30m}\n',
  );
  assert.equal(config.limits_config.max_query_length, 721 * 3_600_000);
  assert.equal(config.limits_config.retention_period, 0);
  assert.equal(config.limits_config.per_stream_rate_limit, 10 * 1024 ** 3);
  assert.equal(config.limits_config.max_line_size, 8192);
  assert.equal(config.ingester.chunk_idle_period, 5_400_000);
});

test('all problems are told at once, each with its line and what was expected', () => {
  const yaml =
    'serverr: {}\nserver:\n  http_listen_port: many\n  log_level: loud\nlimits_config:\n  max_line_size: 5 parsecs\n';
  assert.deepEqual(problemsOf(yaml, ['-no.such-flag=1']), [
    '-no.such-flag: no such flag; -help lists them',
    'loki.yaml:1: unknown key serverr',
    'loki.yaml:3: server.http_listen_port: expected a whole number, got "many"',
    'loki.yaml:4: server.log_level: expected one of debug, info, warn, error, got "loud"',
    'loki.yaml:6: limits_config.max_line_size: expected a size such as 1536KB, 4MB or a number of bytes, got "5 parsecs"',
  ]);
});

test('an unknown key inside a known block of Loki is refused too', () => {
  assert.deepEqual(problemsOf('compactor:\n  working_directory: x\n  wrong: 1\n'), [
    'loki.yaml:3: unknown key compactor.wrong',
  ]);
});

test('broken YAML is told with its line', () => {
  const [problem] = problemsOf('server:\n  http_listen_port: "31\n');
  assert.match(problem!, /^loki\.yaml:[23]: /);
});

test('keys of Loki without a meaning here are named in one warning, and their values are checked', () => {
  const { warnings } = load(
    'memberlist: {join_members: [a, b]}\nquery_range: {parallelise_shardable_queries: false}\n',
    ['-frontend.encoding=json'],
  );
  assert.deepEqual(warnings, [
    'these settings of Loki have no effect here: -frontend.encoding, memberlist.join_members, query_range.parallelise_shardable_queries',
  ]);
  assert.deepEqual(problemsOf('ingester: {sync_period: soon}\n'), [
    'loki.yaml:1: ingester.sync_period: expected a duration such as 30s, 1h30m or 7d, got "soon"',
  ]);
});

test('a known key without effect is not named when it has its default', () => {
  assert.deepEqual(load('frontend: {log_queries_longer_than: 0s}\n').warnings, []);
  assert.match(load('frontend: {log_queries_longer_than: 1s}\n').warnings[0]!, /frontend\.log_queries_longer_than/);
});

test('a named file that does not exist is an error, the first of several that exists is read', () => {
  const options = { readFile: () => 'auth_enabled: false', fileExists: (path: string) => path === 'b.yaml' };
  assert.equal(loadConfig(['-config.file=a.yaml,b.yaml'], options).file, 'b.yaml');
  assert.throws(() => loadConfig(['-config.file=c.yaml'], options), /c\.yaml does not exist/);
});

test('variables of the environment are replaced on request', () => {
  const yaml = 'server:\n  http_listen_port: ${PORT}\n  log_level: ${LEVEL:-warn}\n';
  const { config } = load(yaml, ['-config.expand-env=true'], { PORT: '4444' });
  assert.equal(config.server.http_listen_port, 4444);
  assert.equal(config.server.log_level, 'warn');
  assert.equal(problemsOf(yaml).length, 2);
});

test('anchors and merge keys work', () => {
  const yaml = 'x: &base\n  a: 1\nserver: &s {http_listen_port: 4000}\n';
  assert.deepEqual(problemsOf(yaml), ['loki.yaml:1: unknown key x']);
  const merged = load('server:\n  <<: {http_listen_port: 4000}\n  grpc_listen_port: 1\n').config.server;
  assert.deepEqual([merged.http_listen_port, merged.grpc_listen_port], [4000, 1]);
});

test('periods of storage must name an object store that exists here', () => {
  const period = (store: string) =>
    `schema_config:\n  configs:\n    - {from: 2020-10-24, store: tsdb, object_store: ${store}, schema: v13}\n`;
  assert.equal(load(period('filesystem')).config.schema_config.configs[0]?.from, '2020-10-24');
  assert.match(problemsOf(period('gcs'))[0]!, /loki\.yaml:3: .*"gcs"; expected filesystem, s3 or aws/);
  assert.match(problemsOf(period('s3'))[0]!, /bucketnames/);
});

test('several processes need etcd, where three replicas are the default', () => {
  assert.match(problemsOf('common: {replication_factor: 3}\n')[0]!, /replication_factor.*3 needs .*etcd, got inmemory/);
  assert.match(problemsOf('target: read\n')[0]!, /a part of the services, read, needs .*etcd, got inmemory/);
  assert.match(problemsOf('target: reed\n')[0]!, /^target: expected some of all, read,/);
  assert.match(problemsOf('common: {ring: {kvstore: {store: etcd}}}\n')[0]!, /etcd.endpoints: expected/);
  const etcd = (more: string) =>
    `common: {ring: {kvstore: {store: etcd, etcd: {endpoints: [e:2379]}}}${more}}\ntarget: querier\n`;
  assert.equal(load(etcd('')).config.common.replication_factor, 3);
  assert.equal(load(etcd(', replication_factor: 1')).config.common.replication_factor, 1);
});

test('limits that are lists and mappings are checked inside', () => {
  const { limits_config } = load(
    'limits_config:\n  retention_stream: [{selector: \'{a="b"}\', priority: 1, period: 24h}]\n' +
      '  otlp_config: {resource_attributes: {attributes_config: [{action: index_label, attributes: [a.b]}]}}\n' +
      '  shard_streams: {enabled: false, desired_rate: 1MB}\n  required_labels: [env]\n',
  ).config;
  assert.deepEqual(limits_config.retention_stream, [{ selector: '{a="b"}', priority: 1, period: 86_400_000 }]);
  assert.equal(limits_config.otlp_config?.resource_attributes?.attributes_config?.[0]?.action, 'index_label');
  assert.deepEqual([limits_config.shard_streams.enabled, limits_config.shard_streams.desired_rate], [false, 1048576]);
  assert.deepEqual(limits_config.required_labels, ['env']);
  const bad = 'limits_config:\n  otlp_config: {scope_attributes: [{action: index_label, regex: a}]}\n';
  assert.match(problemsOf(bad)[0]!, /loki\.yaml:2: limits_config\.otlp_config: scope attributes cannot become labels/);
});

test('TLS is taken whole, or refused rather than ignored', () => {
  const problemOf = (keys: string) => problemsOf(`server: {http_tls_config: {${keys}}}\n`)[0] ?? 'none';
  assert.equal(problemOf('cert_file: a, key_file: b'), 'none');
  const mutual = 'client_auth_type: RequireAndVerifyClientCert, client_ca_file: c';
  assert.equal(problemOf(`cert_file: a, key_file: b, ${mutual}`), 'none');
  assert.match(problemOf('cert_file: a'), /http_tls_config: cert_file and key_file must be set together/);
  assert.match(problemOf(mutual), /client_auth_type and client_ca_file need cert_file/);
  assert.match(
    problemOf('cert_file: a, key_file: b, client_auth_type: VerifyClientCertIfGiven'),
    /needs client_ca_file/,
  );
  assert.match(problemOf('cert_file: a, key_file: b, client_ca_file: c'), /client_auth_type does not verify/);
  assert.match(problemOf('cert_file: a, key_file: b, client_auth_type: Maybe'), /expected one of/);
  assert.match(problemOf('cert: a'), /http_tls_config\.cert: has no effect here; certificates and keys are taken from/);
  assert.match(problemsOf('{}', ['-server.grpc-tls-cert-path=x'])[0]!, /grpc_tls_config: cert_file and key_file/);
});

test('a blocked query with a regular expression that is none is refused', () => {
  assert.deepEqual(problemsOf('limits_config:\n  blocked_queries: [{pattern: "a[", regex: true}]\n'), [
    'loki.yaml:2: limits_config.blocked_queries: expected pattern as a regular expression: ' +
      'error parsing regexp: missing closing ]: `[`',
  ]);
});
