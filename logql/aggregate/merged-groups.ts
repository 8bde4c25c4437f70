import { IntList } from '../int-list.ts';
import { compareLabels, type Labels, labelsKey } from '../labels.ts';
import { ValueTable } from '../value-table.ts';
import { type PackedLabelSets, setCount, unpackLabelSets } from './packed-labels.ts';

/**
 * Numbers the label sets of all partials of a scan. Sets of one label, of which there may be very many, stay values in a
 * table until somebody asks for them.
 */
export class MergedGroups {
  /** Names of all labels. */
  readonly names = new Set<string>();
  length = 0;
  /** By group; those of the table only once somebody has asked for them. */
  readonly #labels = new Map<number, Labels>();
  readonly #byKey = new Map<string, number>();
  /** The one label of sets in the table: that of the first such set. */
  #name: string | null = null;
  readonly #values = new ValueTable();
  /** Group by number in the table. */
  readonly #groupOfValue = new IntList();
  /** Number in the table by group, -1 for other sets. */
  readonly #valueOfGroup = new IntList();

  /** By set of the partial, its number here. */
  numbersOf(sets: PackedLabelSets): Uint32Array {
    const { values } = sets;
    if (values === null || (this.#name !== null && this.#name !== values.name)) {
      return Uint32Array.from(unpackLabelSets(sets), (labels) => this.#numberOf(labels));
    }
    const numbers = new Uint32Array(setCount(sets));
    const { name, bytes, lengths, hashes } = values;
    this.#name = name;
    this.names.add(name);
    this.#values.reserve(lengths.length);
    let from = 0;
    for (let i = 0; i < lengths.length; i++) {
      const to = from + lengths[i]!;
      numbers[i] = this.#groupOf(this.#values.numberOfHashed(bytes, from, to, hashes[i]!));
      from = to;
    }
    let at = lengths.length;
    for (const labels of unpackLabelSets({ ...sets, values: null })) numbers[at++] = this.#numberOf(labels);
    return numbers;
  }

  labelsOf(group: number): Labels {
    const known = this.#labels.get(group);
    if (known !== undefined) return known;
    const labels: Labels = [[this.#name!, this.#values.at(this.#valueOfGroup.at(group))]];
    this.#labels.set(group, labels);
    return labels;
  }

  /** As `compareLabels`. */
  compare(a: number, b: number): number {
    const x = this.#valueOfGroup.at(a);
    const y = this.#valueOfGroup.at(b);
    return x >= 0 && y >= 0 ? this.#values.compare(x, y) : compareLabels(this.labelsOf(a), this.labelsOf(b));
  }

  #numberOf(labels: Labels): number {
    if (labels.length === 1) {
      const [name, value] = labels[0]!;
      this.#name ??= name;
      if (this.#name === name) {
        this.names.add(name);
        return this.#groupOf(this.#values.numberOf(value));
      }
    }
    const key = labelsKey(labels);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    for (const [name] of labels) this.names.add(name);
    const group = this.length++;
    this.#labels.set(group, labels);
    this.#valueOfGroup.push(-1);
    this.#byKey.set(key, group);
    return group;
  }

  #groupOf(value: number): number {
    if (value < this.#groupOfValue.length) return this.#groupOfValue.at(value);
    const group = this.length++;
    this.#valueOfGroup.push(value);
    this.#groupOfValue.push(group);
    return group;
  }
}
