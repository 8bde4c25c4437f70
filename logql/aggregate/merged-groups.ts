import { compareLabels, type Labels, labelsKey } from '../labels.ts';
import { JoinedValues } from './joined-values.ts';
import { type PackedLabelSets, setCount, unpackLabelSets } from './packed-labels.ts';

/**
 * Numbers the label sets of all partials of a scan. Sets of one label, of which there may be very many, stay joined values
 * until somebody asks for them; they have the first numbers.
 */
export class MergedGroups {
  /** Names of all labels. */
  readonly names = new Set<string>();
  length: number;
  /** By partial, of each of its sets the number here. */
  readonly numbers: readonly Uint32Array[];
  /** By group; those of joined values only once somebody has asked for them. */
  readonly #labels = new Map<number, Labels>();
  readonly #byKey = new Map<string, number>();
  /** The label of joined values: that of the first list. */
  readonly #name: string | null;
  readonly #values: JoinedValues;

  constructor(partials: readonly PackedLabelSets[]) {
    this.#name = partials.find(({ values }) => values !== null)?.values?.name ?? null;
    const joined = partials.map(({ values }) => (values !== null && values.name === this.#name ? values : null));
    const lists = joined.filter((list) => list !== null);
    this.#values = new JoinedValues(lists);
    this.length = this.#values.length;
    if (this.#name !== null) this.names.add(this.#name);
    let list = 0;
    this.numbers = partials.map((sets, i) => {
      const own = joined[i] === null ? null : this.#values.numbers[list++]!;
      if (own !== null && own.length === setCount(sets)) return own;
      const numbers = new Uint32Array(setCount(sets));
      if (own !== null) numbers.set(own);
      let at = own?.length ?? 0;
      for (const labels of unpackLabelSets(own === null ? sets : { ...sets, values: null })) {
        numbers[at++] = this.#numberOf(labels);
      }
      return numbers;
    });
  }

  /** Gives its memory to others: only labels that were asked for stay. */
  release(): void {
    this.#values.release();
  }

  labelsOf(group: number): Labels {
    const known = this.#labels.get(group);
    if (known !== undefined) return known;
    const labels: Labels = [[this.#name!, this.#values.at(group)]];
    this.#labels.set(group, labels);
    return labels;
  }

  /** As `compareLabels`. */
  compare(a: number, b: number): number {
    const { length } = this.#values;
    if (a < length && b < length) return this.#values.compare(a, b);
    return compareLabels(this.labelsOf(a), this.labelsOf(b));
  }

  #numberOf(labels: Labels): number {
    if (labels.length === 1 && labels[0]![0] === this.#name) {
      const number = this.#values.find(labels[0]![1]);
      if (number >= 0) return number;
    }
    const key = labelsKey(labels);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    for (const [name] of labels) this.names.add(name);
    const group = this.length++;
    this.#labels.set(group, labels);
    this.#byKey.set(key, group);
    return group;
  }
}
