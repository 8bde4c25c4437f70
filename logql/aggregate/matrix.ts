import { type Labels, labelsKey } from '../labels.ts';

/** Series over the evaluation times of a query; an instant query has one time. */
export interface Matrix {
  /** Milliseconds since 1970, as samples are stamped. */
  readonly timesMs: Float64Array;
  readonly series: readonly Series[];
  /** Set where there is one time and very many series may be: the same without looking at each of those. */
  readonly vector?: InstantVector;
  /** Gives memory of what was not looked at to others: series that were not made cannot be any more. */
  release?(): void;
}

/** Series with one sample each, by number. */
export interface InstantVector {
  readonly values: Float64Array;
  seriesAt(i: number): Series;
  /** Orders two series as `compareLabels` does. */
  compare(a: number, b: number): number;
  /** Names of all labels that there are. */
  readonly names: ReadonlySet<string>;
}

export interface Series {
  readonly labels: Labels;
  /** Per evaluation time; meaningless where `present` is 0. */
  readonly values: Float64Array;
  readonly present: Uint8Array;
}

export function newSeries(labels: Labels, steps: number): Series {
  return { labels, values: new Float64Array(steps), present: new Uint8Array(steps) };
}

export function isEmpty(series: Series): boolean {
  return !series.present.includes(1);
}

export function labelValue(labels: Labels, name: string): string {
  for (const label of labels) if (label[0] === name) return label[1];
  return '';
}

/** Only the labels of these names. */
export function keepLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  return labels.filter(([name]) => names.has(name));
}

export function dropLabels(labels: Labels, names: ReadonlySet<string>): Labels {
  return labels.filter(([name]) => !names.has(name));
}

/** Sets a label, or removes it when the value is empty. */
export function withLabel(labels: Labels, name: string, value: string): Labels {
  const others = labels.filter((label) => label[0] !== name);
  if (value === '') return others;
  let at = others.findIndex((label) => label[0] > name);
  if (at < 0) at = others.length;
  return [...others.slice(0, at), [name, value], ...others.slice(at)];
}

/** Series that turned out to have equal labels become one where they are not present at the same step. */
export function joinEqual(series: readonly Series[]): Series[] {
  const byKey = new Map<string, Series[]>();
  const result: Series[] = [];
  for (const one of series) {
    const key = labelsKey(one.labels);
    const same = byKey.get(key) ?? [];
    if (same.length === 0) byKey.set(key, same);
    const target = same.find((other) => other.present.every((there, step) => there === 0 || one.present[step] === 0));
    if (target === undefined) {
      const copy: Series = { labels: one.labels, values: one.values.slice(), present: one.present.slice() };
      same.push(copy);
      result.push(copy);
      continue;
    }
    one.present.forEach((there, step) => {
      if (there === 0) return;
      target.values[step] = one.values[step]!;
      target.present[step] = 1;
    });
  }
  return result;
}
