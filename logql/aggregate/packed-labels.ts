import { giveBack, someUint32 } from '../kept-memory.ts';
import type { Label, Labels } from '../labels.ts';
import type { GroupSource } from '../stages/types.ts';
import type { HashedValues } from '../value-table.ts';

/**
 * Many label sets on their way between threads: one text and two columns of numbers. As arrays of arrays they would cost
 * some microseconds each, more than all the rest of a query by a label of many values.
 */
export interface PackedLabelSets {
  /** The first sets, as far as they have one label, that of a grouping; null when there are none. */
  readonly values: (HashedValues & { readonly name: string }) | null;
  /** All names and values of the sets behind those, one behind the other. */
  readonly text: string;
  /** Length of each name and value in UTF-16 units, in the order of `text`. */
  readonly lengths: Uint32Array;
  /** Labels of each set in `text`. */
  readonly counts: Uint32Array;
}

/** How many sets there are. */
export function setCount({ values, counts }: PackedLabelSets): number {
  return (values?.lengths.length ?? 0) + counts.length;
}

export function buffersOf({ values, lengths, counts }: PackedLabelSets): ArrayBufferLike[] {
  const columns = [lengths, counts, ...(values === null ? [] : [values.bytes, values.lengths, values.hashes])];
  return columns.map((column) => column.buffer);
}

/** The label sets of some groups, given in ascending order, and to which group each of them belongs. */
export function packGroups(
  groups: Uint32Array,
  source: GroupSource,
  labelsOf: (group: number) => Labels,
): { sets: PackedLabelSets; order: Uint32Array } {
  const { byValue } = source;
  if (byValue === undefined) return { sets: packLabelSets(Array.from(groups, labelsOf)), order: groups };
  /** By group: 1 for those that are not packed yet. */
  const isLeft = new Uint8Array(source.length);
  for (const group of groups) isLeft[group] = 1;
  const order = someUint32(groups.length);
  const { numbers, hashes } = byValue.values.ordered();
  let count = 0;
  for (let i = 0; i < numbers.length; i++) {
    const group = byValue.groupAt(numbers[i]!);
    if (isLeft[group] !== 1) continue;
    isLeft[group] = 0;
    numbers[count] = numbers[i]!;
    hashes[count] = hashes[i]!;
    order[count++] = group;
  }
  const others = count === groups.length ? groups.subarray(0, 0) : groups.filter((group) => isLeft[group] === 1);
  order.set(others, count);
  const packed = packLabelSets(Array.from(others, labelsOf));
  if (count === 0) return { sets: packed, order };
  const values = byValue.values.pack(numbers.subarray(0, count));
  giveBack(numbers);
  return { sets: { ...packed, values: { ...values, hashes: hashes.subarray(0, count), name: byValue.name } }, order };
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
  return { values: null, text: parts.join(''), lengths, counts };
}

export function unpackLabelSets({ values, text, lengths, counts }: PackedLabelSets): Labels[] {
  const sets: Labels[] = [];
  let from = 0;
  if (values !== null) {
    const { name, bytes } = values;
    const own = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    for (const length of values.lengths) {
      sets.push([[name, own.slice(from, from + length)]]);
      from += length;
    }
    from = 0;
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
