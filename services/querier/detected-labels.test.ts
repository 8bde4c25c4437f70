import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { detectLabels, isUuid, type LabelValues } from './detected-labels.ts';

const UUID = '0af76519-16cd-43dd-8448-eb211c80319c';
const labels = (values: Record<string, string[]>): LabelValues =>
  new Map(Object.entries(values).map(([name, list]) => [name, new Set(list)]));
const names = (values: Record<string, string[]>): string[] => detectLabels([labels(values)]).map(({ label }) => label);

describe('detected labels', () => {
  test('come with the number of their values', () => {
    assert.deepEqual(detectLabels([labels({ env: ['dev', 'prod'], app: ['web'] })]), [
      { label: 'app', cardinality: 1 },
      { label: 'env', cardinality: 2 },
    ]);
  });

  test('leave out those that hold nothing but numbers and UUIDs', () => {
    assert.deepEqual(names({ id: ['1', '2.5', '-3e4'], trace: [UUID], mixed: [UUID, '7'], word: ['7', 'x'] }), [
      'word',
    ]);
  });

  test('keep those that hold nothing but 0 and 1', () => {
    assert.deepEqual(names({ flag: ['0', '1'], only: ['1'], more: ['0', '1', '2'] }), ['flag', 'only']);
  });

  test('keep cluster, namespace, instance and pod whatever they hold', () => {
    assert.deepEqual(
      names({ cluster: ['1'], namespace: ['2'], instance: ['3'], pod: [UUID], host: ['4'], empty: [] }),
      ['cluster', 'instance', 'namespace', 'pod'],
    );
  });

  test('are judged a tenant, and counted over all', () => {
    const found = detectLabels([labels({ a: ['x', 'y'], b: ['3'] }), labels({ a: ['y', 'z'], b: ['p', '2'] })]);
    assert.deepEqual(found, [
      { label: 'a', cardinality: 3 },
      { label: 'b', cardinality: 2 },
    ]);
  });
});

test('a UUID may be plain, in braces, a URN or without dashes', () => {
  const hex = UUID.replaceAll('-', '');
  for (const text of [UUID, UUID.toUpperCase(), `{${UUID}}`, `urn:uuid:${UUID}`, hex]) assert.ok(isUuid(text), text);
  for (const text of ['', UUID.slice(1), `${UUID}0`, `(${UUID})`, UUID.replace('0', 'g'), hex.slice(1)]) {
    assert.ok(!isUuid(text), text);
  }
});
