import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { acceptedKeys } from './accepted-keys.ts';
import { fieldsByFlag, helpText } from './command-line.ts';
import { directoriesOf, s3SettingsOf } from './directories.ts';
import { parseScalar, walkFields } from './field.ts';
import { formatDurationMs, formatSizeBytes, presentValue } from './format-value.ts';
import { defaultLimits } from './limits.ts';
import { loadConfig } from './load.ts';
import { configurationDocs, presentLimits, presentLimitsDiff, printConfig } from './print.ts';
import { readYaml } from './read-yaml.ts';
import { schema } from './schema.ts';

test('docs/configuration.md is what the fields say', () => {
  const written = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(written, configurationDocs(), 'run: npm run docs');
});

test('every field that Loki has too has its flag', () => {
  const differences: string[] = [];
  walkFields(schema, (path, field) => {
    const ofLoki = acceptedKeys().byPath.get(path)?.field;
    if (field.rules.own) assert.equal(ofLoki, undefined, `${path} is not our own`);
    else if (ofLoki && ofLoki.flag !== '' && ofLoki.flag !== field.flag) differences.push(`${path}: -${ofLoki.flag}`);
  });
  assert.deepEqual(differences, []);
});

test('flags are distinct and every default is a value that its field takes', () => {
  let flags = 0;
  walkFields(schema, (path, field) => {
    if (field.flag !== '') flags++;
    if (field.kind === 'structured' || field.kind === 'strings') return;
    assert.deepEqual(parseScalar(field, String(presentValue(field, field.default))), field.default, path);
  });
  assert.equal(fieldsByFlag().size, flags);
});

test('what /config prints reads back as the same configuration', () => {
  const options = {
    fileExists: () => true,
    readFile: () => 'limits_config: {max_line_size: 8KB, retention_period: 7d}\n',
  };
  const { config } = loadConfig(['-config.file=x'], options);
  const again = readYaml(printConfig(config), 'printed', schema);
  assert.deepEqual(again.problems, []);
  for (const [path, value] of again.values) {
    let expected: unknown = config;
    for (const part of path.split('.')) expected = (expected as Record<string, unknown>)[part];
    assert.deepEqual(value, expected, path);
  }
  assert.equal(printConfig(config, 'diff'), 'limits_config:\n  max_line_size: 8KB\n  retention_period: 1w\n');
});

test('secrets are masked wherever configuration is shown', () => {
  const { config } = loadConfig(['-s3.secret-access-key=hush', '-s3.buckets=b'], { fileExists: () => false });
  assert.doesNotMatch(printConfig(config), /hush/);
  assert.match(printConfig(config), /secret_access_key: "\*+"/);
});

test('limits are shown with units, and only the ones that are asked for', () => {
  const shown = presentLimits(defaultLimits, ['max_query_length', 'volume_enabled', 'shard_streams']);
  assert.deepEqual(Object.keys(shown), ['shard_streams', 'max_query_length', 'volume_enabled']);
  assert.equal(shown['max_query_length'], '30d1h');
});

test('limits inside of lists and mappings are shown with units too, and what differs can be shown alone', () => {
  const limits = {
    ...defaultLimits,
    retention_stream: [{ selector: '{a="b"}', priority: 1, period: 86_400_000 }],
    block_ingestion_policy_until: { mine: Date.UTC(2099, 0) },
    max_query_lookback: 31_536_000_000,
  };
  assert.deepEqual(presentLimitsDiff(limits, defaultLimits), {
    block_ingestion_policy_until: { mine: '2099-01-01T00:00:00Z' },
    max_query_lookback: '1y',
    retention_stream: [{ selector: '{a="b"}', priority: 1, period: '1d' }],
  });
  assert.deepEqual(presentLimitsDiff(defaultLimits, defaultLimits), {});
});

test('durations and sizes are written in the largest units that are exact', () => {
  assert.deepEqual([0, 500, 90_000, 5_400_000, -1e-6].map(formatDurationMs), ['0s', '500ms', '1m30s', '1h30m', '-1ns']);
  assert.deepEqual(
    [7, 8, 365, 372].map((days) => formatDurationMs(days * 86_400_000)),
    ['1w', '8d', '1y', '372d'],
  );
  assert.deepEqual([0, 5, 1536 * 1024, 1024 ** 3].map(formatSizeBytes), ['0B', '5B', '1536KB', '1GB']);
});

test('-help names every flag', () => {
  const text = helpText(presentValue);
  for (const flag of fieldsByFlag().keys()) assert.ok(text.includes(`  -${flag}\n`), flag);
});

test('directories follow from path_prefix unless they are named', () => {
  const at = (...args: string[]) => directoriesOf(loadConfig(args, { fileExists: () => false }).config);
  assert.deepEqual(at(), { base: 'data', wal: 'data/wal', objects: 'data/chunks', shutdownMarker: 'data/wal' });
  const own = at('-common.path-prefix=/x', '-ingester.wal-dir=/w', '-common.storage.filesystem.chunk-directory=/c');
  assert.deepEqual([own.base, own.wal, own.objects], ['/x', '/w', '/c']);
});

test('an S3 store is understood from single keys and from one URL', () => {
  const at = (...args: string[]) => s3SettingsOf(loadConfig(args, { fileExists: () => false }).config);
  assert.equal(at(), undefined);
  const plain = at('-s3.buckets=logs', '-s3.endpoint=127.0.0.1:9000', '-s3.insecure', '-s3.force-path-style');
  assert.deepEqual([plain?.bucket, plain?.endpoint, plain?.forcePathStyle], ['logs', 'http://127.0.0.1:9000', true]);
  const url = at('-s3.url=s3://key:se%2Fcret@eu-west-1/logs');
  assert.deepEqual(
    [url?.bucket, url?.region, url?.accessKeyId, url?.secretAccessKey],
    ['logs', 'eu-west-1', 'key', 'se/cret'],
  );
});
