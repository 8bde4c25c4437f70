import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonLabels, jsonSample, jsonSeconds, jsonString } from './json.ts';

test('lines are written with HTML escapes, labels without', () => {
  assert.equal(jsonString('<a>&\u2028"', true), '"\\u003ca\\u003e\\u0026\\u2028\\""');
  assert.equal(jsonLabels([['a', '<b>']]), '{"a":"<b>"}');
});

test('a lone surrogate becomes the replacement character', () => {
  assert.equal(jsonString('a\ud800b', true), '"a\ufffdb"');
});

test('times have up to three decimals and no trailing zeros', () => {
  assert.equal(jsonSeconds(1_700_000_000_500), '1700000000.5');
  assert.equal(jsonSeconds(1_700_000_000_000), '1700000000');
  assert.equal(jsonSeconds(1_795_172_399_999), '1795172399.999');
  assert.equal(jsonSeconds(-1500), '-1.5');
});

test('values never have an exponent', () => {
  assert.equal(jsonSample(1000, 1e21), '[1,"1000000000000000000000"]');
  assert.equal(jsonSample(1000, Number.POSITIVE_INFINITY), '[1,"+Inf"]');
});
