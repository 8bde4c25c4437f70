import { type ArithmeticOp, type ComparisonOp, calculate, compare, isComparisonOp } from '../arithmetic.ts';
import { type Labels, labelsKey } from '../labels.ts';
import type { VectorMatching } from '../syntax/ast.ts';
import { MatchingError } from './errors.ts';
import {
  dropLabels,
  isEmpty,
  joinEqual,
  keepLabels,
  labelValue,
  type Matrix,
  newSeries,
  type Series,
  withLabel,
} from './matrix.ts';

/**
 * Arithmetic and comparisons of two vectors. Samples are matched step by step: what must be unique need only be so
 * among the samples that are present at one step. Throws `MatchingError` with Loki's texts.
 */
export function vectorWithVector(
  op: ArithmeticOp | ComparisonOp,
  bool: boolean,
  matching: VectorMatching,
  left: Matrix,
  right: Matrix,
): Matrix {
  const swapped = matching.card === 'one-to-many';
  const many = swapped ? right : left;
  const one = swapped ? left : right;
  const steps = left.timesMs.length;
  const matched = new MatchedSides(matching, many.series, one.series, swapped ? 'left' : 'right');
  const output = new OutputSeries(matching, steps);

  for (let step = 0; step < steps; step++) {
    matched.open(step);
    for (let m = 0; m < many.series.length; m++) {
      const manySeries = many.series[m]!;
      if (manySeries.present[step] === 0) continue;
      const oneSeries = matched.partner(m);
      if (oneSeries === null) continue;
      const target = output.of(manySeries, oneSeries);
      matched.claim(m, target);
      const leftValue = (swapped ? oneSeries : manySeries).values[step]!;
      const rightValue = (swapped ? manySeries : oneSeries).values[step]!;
      let value: number;
      if (!isComparisonOp(op)) {
        value = calculate(op, leftValue, rightValue);
      } else {
        const holds = compare(op, leftValue, rightValue);
        if (!bool && !holds) continue;
        value = bool ? Number(holds) : leftValue;
      }
      target.values[step] = value;
      target.present[step] = 1;
    }
  }
  return { timesMs: left.timesMs, series: output.series.filter((series) => !isEmpty(series)) };
}

/** `and`, `or`, `unless`: which samples stay, many to many, with their own labels and values. */
export function combineSets(
  op: 'and' | 'or' | 'unless',
  matching: VectorMatching,
  left: Matrix,
  right: Matrix,
): Matrix {
  const steps = left.timesMs.length;
  const signatures = signatureIds(matching, left.series, right.series);
  const kept = op === 'or' ? right.series : left.series;
  const keptIds = op === 'or' ? signatures.right : signatures.left;
  const others = op === 'or' ? left.series : right.series;
  const otherIds = op === 'or' ? signatures.left : signatures.right;
  /** Per signature and step, whether the other side has a sample. */
  const present = new Uint8Array(signatures.count * steps);
  others.forEach((series, i) => {
    for (let step = 0; step < steps; step++) {
      if (series.present[step] === 1) present[otherIds[i]! * steps + step] = 1;
    }
  });
  const wanted = op === 'and' ? 1 : 0;
  const filtered = kept.map((series, i): Series => {
    const mask = new Uint8Array(steps);
    for (let step = 0; step < steps; step++) {
      if (series.present[step] === 1 && present[keptIds[i]! * steps + step] === wanted) mask[step] = 1;
    }
    return { labels: series.labels, values: series.values, present: mask };
  });
  const series = filtered.filter((one) => !isEmpty(one));
  if (op !== 'or') return { timesMs: left.timesMs, series };
  return { timesMs: left.timesMs, series: joinEqual([...left.series, ...series]) };
}

/** Finds partners at one step and watches that the matching is as unique as its cardinality says. */
class MatchedSides {
  readonly #oneToOne: boolean;
  readonly #one: readonly Series[];
  readonly #oneSide: 'left' | 'right';
  readonly #manyIds: Uint32Array;
  readonly #oneIds: Uint32Array;
  /** Per signature: index into `#one` plus 1, at this step. */
  readonly #partners: Uint32Array;
  /** Signatures (one-to-one) or output series (grouped) that have been met at this step. */
  readonly #claimed = new Set<number | Series>();

  constructor(matching: VectorMatching, many: readonly Series[], one: readonly Series[], oneSide: 'left' | 'right') {
    this.#oneToOne = matching.card === 'one-to-one';
    this.#one = one;
    this.#oneSide = oneSide;
    const ids = signatureIds(matching, many, one);
    this.#manyIds = ids.left;
    this.#oneIds = ids.right;
    this.#partners = new Uint32Array(ids.count);
  }

  open(step: number): void {
    this.#partners.fill(0);
    this.#claimed.clear();
    for (let i = 0; i < this.#one.length; i++) {
      if (this.#one[i]!.present[step] === 0) continue;
      const id = this.#oneIds[i]!;
      if (this.#partners[id] !== 0) {
        throw new MatchingError(
          `found duplicate series on the ${this.#oneSide} hand-side;many-to-many matching not allowed: ` +
            'matching labels must be unique on one side',
        );
      }
      this.#partners[id] = i + 1;
    }
  }

  partner(many: number): Series | null {
    const at = this.#partners[this.#manyIds[many]!]!;
    return at === 0 ? null : this.#one[at - 1]!;
  }

  claim(many: number, output: Series): void {
    const claim = this.#oneToOne ? this.#manyIds[many]! : output;
    if (this.#claimed.has(claim)) {
      throw new MatchingError(
        this.#oneToOne
          ? 'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)'
          : 'multiple matches for labels: grouping labels must ensure unique matches',
      );
    }
    this.#claimed.add(claim);
  }
}

/** Output series by pair of inputs. Other partners at another step may give the same labels: the same series. */
class OutputSeries {
  readonly series: Series[] = [];
  readonly #matching: VectorMatching;
  readonly #names: ReadonlySet<string>;
  readonly #steps: number;
  readonly #byPair = new Map<Series, Map<Series, Series>>();
  readonly #byLabels = new Map<string, Series>();

  constructor(matching: VectorMatching, steps: number) {
    this.#matching = matching;
    this.#names = new Set(matching.labels);
    this.#steps = steps;
  }

  of(many: Series, one: Series): Series {
    let pairs = this.#byPair.get(many);
    if (pairs === undefined) {
      pairs = new Map();
      this.#byPair.set(many, pairs);
    }
    let output = pairs.get(one);
    if (output === undefined) {
      const labels = this.#labels(many.labels, one.labels);
      const key = labelsKey(labels);
      output = this.#byLabels.get(key);
      if (output === undefined) {
        output = newSeries(labels, this.#steps);
        this.#byLabels.set(key, output);
        this.series.push(output);
      }
      pairs.set(one, output);
    }
    return output;
  }

  #labels(many: Labels, one: Labels): Labels {
    let labels = many;
    if (this.#matching.card === 'one-to-one') {
      labels = this.#matching.on ? keepLabels(labels, this.#names) : dropLabels(labels, this.#names);
    }
    for (const name of this.#matching.include) labels = withLabel(labels, name, labelValue(one, name));
    return labels;
  }
}

/** Numbers the signatures (the labels that decide about matching) of both sides from 0. */
function signatureIds(
  matching: VectorMatching,
  left: readonly Series[],
  right: readonly Series[],
): { left: Uint32Array; right: Uint32Array; count: number } {
  const names = new Set(matching.labels);
  const ids = new Map<string, number>();
  const idOf = ({ labels }: Series): number => {
    const key = labelsKey(matching.on ? keepLabels(labels, names) : dropLabels(labels, names));
    let id = ids.get(key);
    if (id === undefined) {
      id = ids.size;
      ids.set(key, id);
    }
    return id;
  };
  return { left: Uint32Array.from(left, idOf), right: Uint32Array.from(right, idOf), count: ids.size };
}
