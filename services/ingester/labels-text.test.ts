import assert from 'node:assert/strict';
import { it } from 'node:test';
import { BadLabelsError, parseCanonicalLabels } from './labels-text.ts';

it('reads labels as a distributor prints them', () => {
  assert.deepEqual(parseCanonicalLabels('{}'), []);
  assert.deepEqual(parseCanonicalLabels('{b="x, y}", a="\\"q\\" \\\\ \\n ü="}'), [
    ['a', '"q" \\ \n ü='],
    ['b', 'x, y}'],
  ]);
  for (const bad of ['', '{', 'a="b"', '{a=b}', '{a="b}', '{a="b"c="d"}', '{a="b"']) {
    assert.throws(() => parseCanonicalLabels(bad), BadLabelsError, bad);
  }
});
