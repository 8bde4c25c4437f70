import { giveBack } from '../kept-memory.ts';
import type { InstantVector, Matrix, Series } from './matrix.ts';
import type { MergedGroups } from './merged-groups.ts';

/** An instant vector of which series, very many perhaps, are made when they are looked at. */
export class VectorOfGroups implements Matrix, InstantVector {
  readonly timesMs: Float64Array;
  readonly values: Float64Array;
  readonly #groups: MergedGroups;
  /** Group by series. */
  readonly #numbers: Uint32Array;
  #series: readonly Series[] | null = null;

  constructor(timesMs: Float64Array, groups: MergedGroups, numbers: Uint32Array, values: Float64Array) {
    this.timesMs = timesMs;
    this.values = values;
    this.#groups = groups;
    this.#numbers = numbers;
  }

  get vector(): InstantVector {
    return this;
  }

  get series(): readonly Series[] {
    this.#series ??= Array.from(this.#numbers, (_, i) => this.seriesAt(i));
    return this.#series;
  }

  get names(): ReadonlySet<string> {
    return this.#groups.names;
  }

  seriesAt(i: number): Series {
    const labels = this.#groups.labelsOf(this.#numbers[i]!);
    return { labels, values: this.values.slice(i, i + 1), present: Uint8Array.of(1) };
  }

  release(): void {
    this.#groups.release();
    giveBack(this.#numbers);
    giveBack(this.values);
  }

  compare(a: number, b: number): number {
    return this.#groups.compare(this.#numbers[a]!, this.#numbers[b]!);
  }
}
