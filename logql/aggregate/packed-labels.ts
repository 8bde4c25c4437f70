import type { Label, Labels } from '../labels.ts';
import type { GroupSource } from '../stages/types.ts';

/**
 * Many label sets on their way between threads: one text and two columns of numbers. As arrays of arrays they would cost
 * some microseconds each, more than all the rest of a query by a label of many values.
 */
export interface PackedLabelSets {
  /** All names and values, one behind the other. */
  readonly text: string;
  /** Length of each name and value in UTF-16 units, in the order of `text`. */
  readonly lengths: Uint32Array;
  /** Labels of each set. */
  readonly counts: Uint32Array;
  /** Not null: every set has this one label, and `text` and `lengths` are of values alone. */
  readonly name: string | null;
}

/** The label sets of some groups. They are made only where they have not just one label. */
export function packGroups(
  groups: readonly number[],
  source: GroupSource,
  labelsOf: (group: number) => Labels,
): PackedLabelSets {
  const { byValue } = source;
  if (byValue !== undefined && groups.length > 0) {
    const numbers = groups.map((group) => byValue.valueOf(group));
    if (!numbers.includes(-1)) {
      const { text, lengths } = byValue.values.textOf(numbers);
      return { text, lengths, counts: new Uint32Array(groups.length).fill(1), name: byValue.name };
    }
  }
  return packLabelSets(groups.map(labelsOf));
}

export function packLabelSets(sets: readonly Labels[]): PackedLabelSets {
  const counts = new Uint32Array(sets.length);
  let labelCount = 0;
  for (let i = 0; i < sets.length; i++) {
    counts[i] = sets[i]!.length;
    labelCount += counts[i]!;
  }
  const lengths = new Uint32Array(labelCount * 2);
  const parts: string[] = [];
  let at = 0;
  for (const labels of sets) {
    for (const [name, value] of labels) {
      lengths[at++] = name.length;
      lengths[at++] = value.length;
      parts.push(name, value);
    }
  }
  return { text: parts.join(''), lengths, counts, name: null };
}

export function unpackLabelSets({ text, lengths, counts, name }: PackedLabelSets): Labels[] {
  const sets: Labels[] = [];
  let from = 0;
  if (name !== null) {
    for (const length of lengths) {
      sets.push([[name, text.slice(from, from + length)]]);
      from += length;
    }
    return sets;
  }
  let at = 0;
  for (const count of counts) {
    const labels: Label[] = [];
    for (let i = 0; i < count; i++) {
      const nameEnd = from + lengths[at++]!;
      const valueEnd = nameEnd + lengths[at++]!;
      labels.push([text.slice(from, nameEnd), text.slice(nameEnd, valueEnd)]);
      from = valueEnd;
    }
    sets.push(labels);
  }
  return sets;
}
