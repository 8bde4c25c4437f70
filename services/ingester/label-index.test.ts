import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { HeadMemory } from './head-memory.ts';
import { LabelIndex } from './label-index.ts';
import { Stream } from './stream.ts';

const memory = new HeadMemory(0);
const streamOf = (labels: Labels): Stream => new Stream(labels, JSON.stringify(labels), memory);
const copyOf = (text: string): string => Buffer.from(text).toString();
const equals = (name: string, value: string): Matcher => ({ kind: 'matcher', name, op: '=', value });

describe('labels of streams that are alike', () => {
  it('are the same pairs, as long as a stream has them', () => {
    const index = new LabelIndex();
    const first = streamOf(
      index.shared([
        ['app', 'web'],
        ['pod', '1'],
      ]),
    );
    index.add(first);
    const second = streamOf(
      index.shared([
        [copyOf('app'), copyOf('web')],
        ['pod', '2'],
      ]),
    );
    index.add(second);
    assert.equal(second.labels[0], first.labels[0]);
    assert.deepEqual(second.labels, [
      ['app', 'web'],
      ['pod', '2'],
    ]);
    index.remove(first);
    assert.equal(index.shared([['app', 'web']])[0], second.labels[0]);
    index.remove(second);
    const third: Labels = [['app', 'web']];
    assert.deepEqual(index.shared(third), third);
  });

  it('are what they were, and found, whatever came and went before', () => {
    const label = fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('', '1', '2', '3'));
    const step = fc.record({ labels: fc.array(label, { maxLength: 4 }), removes: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const index = new LabelIndex();
        const streams: Stream[] = [];
        for (const { labels, removes } of steps) {
          const shared = index.shared(labels);
          assert.deepEqual(shared, labels);
          const stream = streamOf(shared);
          index.add(stream);
          streams.push(stream);
          if (removes) index.remove(streams.shift()!);
        }
        for (const value of ['1', '2', '3']) {
          const wanted = streams.filter(({ labels }) => labels.find(([name]) => name === 'a')?.[1] === value);
          assert.deepEqual(new Set(index.select([equals('a', value)])), new Set(wanted));
        }
      }),
    );
  });
});
