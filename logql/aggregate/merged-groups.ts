import { compareLabels, type Labels, labelsKey } from '../labels.ts';
import { ValueTable } from '../value-table.ts';
import { type PackedLabelSets, unpackLabelSets } from './packed-labels.ts';

/**
 * Numbers the label sets of all partials of a scan. Sets of one label, of which there may be very many, stay values in a
 * table until somebody asks for them.
 */
export class MergedGroups {
  /** Names of all labels. */
  readonly names = new Set<string>();
  readonly #labels: (Labels | undefined)[] = [];
  readonly #byKey = new Map<string, number>();
  /** The one label of sets in the table: that of the first such set. */
  #name: string | null = null;
  readonly #values = new ValueTable();
  /** Group by number in the table. */
  readonly #groupOfValue: number[] = [];
  /** Number in the table by group, -1 for other sets. */
  readonly #valueOfGroup: number[] = [];

  get length(): number {
    return this.#labels.length;
  }

  /** By set of the partial, its number here. */
  numbersOf(sets: PackedLabelSets): Uint32Array {
    const { name, text, lengths } = sets;
    if (name === null || (this.#name !== null && this.#name !== name)) {
      return Uint32Array.from(unpackLabelSets(sets), (labels) => this.#numberOf(labels));
    }
    const numbers = new Uint32Array(lengths.length);
    this.#name = name;
    this.#values.reserve(lengths.length);
    let from = 0;
    for (let i = 0; i < lengths.length; i++) {
      numbers[i] = this.#numberOfValue(text, from, from + lengths[i]!);
      from += lengths[i]!;
    }
    if (lengths.length > 0) this.names.add(name);
    return numbers;
  }

  labelsOf(group: number): Labels {
    const known = this.#labels[group];
    if (known !== undefined) return known;
    const labels: Labels = [[this.#name!, this.#values.at(this.#valueOfGroup[group]!)]];
    this.#labels[group] = labels;
    return labels;
  }

  /** As `compareLabels`. */
  compare(a: number, b: number): number {
    const x = this.#valueOfGroup[a]!;
    const y = this.#valueOfGroup[b]!;
    return x >= 0 && y >= 0 ? this.#values.compare(x, y) : compareLabels(this.labelsOf(a), this.labelsOf(b));
  }

  #numberOf(labels: Labels): number {
    if (labels.length === 1) {
      const [name, value] = labels[0]!;
      this.#name ??= name;
      if (this.#name === name) {
        this.names.add(name);
        return this.#numberOfValue(value, 0, value.length);
      }
    }
    const key = labelsKey(labels);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    for (const [name] of labels) this.names.add(name);
    const group = this.#labels.push(labels) - 1;
    this.#valueOfGroup.push(-1);
    this.#byKey.set(key, group);
    return group;
  }

  #numberOfValue(text: string, from: number, to: number): number {
    const value = this.#values.numberOf(text, from, to);
    if (value < this.#groupOfValue.length) return this.#groupOfValue[value]!;
    const group = this.#labels.push(undefined) - 1;
    this.#valueOfGroup.push(value);
    this.#groupOfValue.push(group);
    return group;
  }
}
