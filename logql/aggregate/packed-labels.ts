import type { Label, Labels } from '../labels.ts';

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
  return { text: parts.join(''), lengths, counts };
}

export function unpackLabelSets({ text, lengths, counts }: PackedLabelSets): Labels[] {
  const sets: Labels[] = [];
  let from = 0;
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
