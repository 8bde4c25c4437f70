import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JsonObject, readYamlDocuments } from './deploy-files.ts';
import { violations } from './json-schema.ts';
import { manifestViolations } from './kubernetes-types.ts';

const schema: JsonObject = {
  type: 'object',
  properties: {
    name: { type: 'string', pattern: '^[a-z]+$' },
    many: { type: 'array', items: { $ref: '#/definitions/size' }, uniqueItems: true },
    either: { oneOf: [{ type: 'string' }, { type: 'boolean' }] },
  },
  patternProperties: { '^x-': {} },
  additionalProperties: false,
  required: ['name'],
  definitions: { size: { type: ['integer', 'string'], minimum: 1, maximum: 9 } },
};

test('a value that fits a JSON schema has no violations', () => {
  const fitting = { name: 'a', many: [1, 'b'], either: true, 'x-own': { any: 1 } };
  assert.deepEqual(violations(schema, fitting), []);
});

test('what does not fit a JSON schema is named with its path', () => {
  assert.deepEqual(violations(schema, {}), [': lacks name']);
  assert.deepEqual(violations(schema, { name: 'A', other: 1 }), [
    '/name: does not match ^[a-z]+$',
    '/other: is not allowed',
  ]);
  assert.deepEqual(violations(schema, { name: 'a', many: [0, 10, 1.5, true] }), [
    '/many/0: is below 1',
    '/many/1: is above 9',
    '/many/2: is no integer or string',
    '/many/3: is no integer or string',
  ]);
  assert.deepEqual(violations(schema, { name: 'a', many: [1, 1] }), ['/many: has an item twice']);
  assert.deepEqual(violations(schema, { name: 'a', either: 1 }), [
    '/either: fits 0 of 2 forms',
    '/either: is no string',
    '/either: is no boolean',
  ]);
});

test('a keyword of JSON schema that is not known here is an error, not a pass', () => {
  assert.throws(() => violations({ not: {} }, 1), /the schema uses not/);
});

const probe = (fields: JsonObject): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'a' },
  spec: { ports: [{ port: 1, ...fields }] },
});

test('fields that Kubernetes does not know, of another type, or missing, are found where they are', () => {
  assert.deepEqual(manifestViolations(probe({ targetPort: 'http' })), []);
  assert.deepEqual(manifestViolations(probe({ targetPorts: 2 })), [
    '/spec/ports/0/targetPorts: V1ServicePort has no such field',
  ]);
  assert.deepEqual(manifestViolations(probe({ name: 3 })), ['/spec/ports/0/name: is no string']);
  assert.deepEqual(manifestViolations(probe({ targetPort: true })), [
    '/spec/ports/0/targetPort: is neither number nor text',
  ]);
  assert.deepEqual(manifestViolations({ apiVersion: 'v1', kind: 'Service', spec: { ports: [{}] } }), [
    '/spec/ports/0: lacks port',
  ]);
  assert.deepEqual(manifestViolations({ apiVersion: 'apps/v2', kind: 'Deployment' }), [
    'apps/v2 Deployment: is not in schemas/kubernetes.json',
  ]);
});

test('values that the API describes in words only, and quantities, are checked as well', () => {
  const [set] = readYamlDocuments('deploy/kubernetes/ingester-zone-a.yaml');
  const spoilt = JSON.stringify(set).replace('"Parallel"', '"Parralel"').replaceAll('"4Gi"', '"4GiB"');
  assert.deepEqual(
    manifestViolations(JSON.parse(spoilt) as JsonObject).map((text) => text.replace(/.*: /, '')),
    ['is none of OrderedReady, Parallel', '4GiB is no quantity', '4GiB is no quantity'],
  );
});
