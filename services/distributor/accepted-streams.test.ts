import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../config/limits.ts';
import { AcceptedStreams, anyRows } from './accepted-streams.ts';
import type { KnownStream } from './stream-labels.ts';

const known = (text: string): KnownStream => ({
  limits: defaultLimits,
  text,
  refusal: null,
  policy: '',
  retentionHours: '',
  isInternal: false,
  level: null,
});

test('streams of one push are objects of their own, those of the next push the same again', () => {
  const streams = new AcceptedStreams();
  const first = [streams.take(known('{a="1"}')), streams.take(known('{a="2"}'))];
  assert.notEqual(first[0], first[1]);
  assert.notEqual(first[0]!.rows[0], first[1]!.rows[0]);
  streams.clear();
  const second = [streams.take(known('{a="3"}')), streams.take(known('{a="4"}')), streams.take(known('{a="5"}'))];
  assert.deepEqual([second[0], second[1]], first);
  assert.equal(new Set(second).size, 3);
  assert.deepEqual(
    second.map(({ stream }) => stream.text),
    ['{a="3"}', '{a="4"}', '{a="5"}'],
  );
});

test('what is kept for the next push holds nothing of a request, and one range of rows a stream', () => {
  const streams = new AcceptedStreams();
  const taken = streams.take(known('{a="1"}'));
  taken.rows.push(anyRows());
  for (const rows of taken.rows) rows.source = Buffer.from('a request');
  streams.clear();
  assert.deepEqual(
    taken.rows.map(({ source }) => source.length),
    [0],
  );
});
