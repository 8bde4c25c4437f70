import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareLabels, type Labels } from '../labels.ts';
import type { GroupSource } from '../stages/types.ts';
import { ValueTable } from '../value-table.ts';
import { MergedGroups } from './merged-groups.ts';
import { packGroups, packLabelSets, unpackLabelSets } from './packed-labels.ts';

/** Groups of one label in a table, as a grouping by that label makes them. */
function groupsByValue(name: string, texts: readonly string[]): GroupSource {
  const values = new ValueTable();
  const numbers = texts.map((text) => values.numberOf(text));
  const labels = (group: number): Labels => [[name, texts[group]!]];
  return {
    length: texts.length,
    at: (group) => ({ merged: labels(group), stream: [], structuredMetadata: [], parsed: [], error: '' }),
    byValue: { name, values, groupAt: (number) => numbers.indexOf(number) },
  };
}

const texts = fc.uniqueArray(fc.string({ unit: 'binary', maxLength: 3 }));

test('groups of one label are packed as their label sets are', () => {
  fc.assert(
    fc.property(texts, (values) => {
      const source = groupsByValue('ip', values);
      const groups = Uint32Array.from(values.keys()).filter((group) => group % 3 > 0);
      const { sets, order } = packGroups(groups, source, (group) => source.at(group)!.merged);
      assert.deepEqual(
        unpackLabelSets(sets),
        Array.from(order, (group) => source.at(group)!.merged),
      );
      assert.deepEqual(order.sort(), groups);
    }),
  );
});

test('equal label sets have one number, whichever way they come', () => {
  fc.assert(
    fc.property(texts, texts, texts, fc.constantFrom('ip', 'pod'), (first, second, third, other) => {
      const sets: Labels[] = [];
      const partials: ReturnType<typeof packLabelSets>[] = [];
      const add = (packed: ReturnType<typeof packLabelSets>): void => {
        sets.push(...unpackLabelSets(packed));
        partials.push(packed);
      };
      const plain: Labels[] = second.map((value): Labels => [['ip', value]]);
      add(
        packLabelSets([
          [],
          ...plain,
          [
            ['a', 'b'],
            ['ip', 'c'],
          ],
        ]),
      );
      for (const [name, values] of [
        ['ip', first],
        [other, second],
        ['ip', third],
        ['ip', [...second, ...third.filter((value) => !second.includes(value))]],
      ] as const) {
        const source = groupsByValue(name, values);
        add(packGroups(Uint32Array.from(values.keys()), source, (group) => source.at(group)!.merged).sets);
      }
      const merged = new MergedGroups(partials);
      const numbers = merged.numbers.flatMap((own) => [...own]);
      const texts = sets.map((labels) => JSON.stringify(labels));
      numbers.forEach((number, i) => {
        assert.deepEqual(merged.labelsOf(number), sets[i]);
        assert.equal(number, numbers[texts.indexOf(texts[i]!)]);
        assert.equal(Math.sign(merged.compare(number, numbers[0]!)), Math.sign(compareLabels(sets[i]!, sets[0]!)));
      });
      assert.equal(merged.length, new Set(texts).size);
      assert.deepEqual([...merged.names].sort(), [...new Set(sets.flat().map(([name]) => name))].sort());
    }),
  );
});
