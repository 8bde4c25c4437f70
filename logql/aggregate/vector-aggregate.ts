import { compareLabels, type Labels, labelsKey } from '../labels.ts';
import type { Grouping, VectorOp } from '../syntax/ast.ts';
import { BestK } from './best-k.ts';
import { dropLabels, type InstantVector, isEmpty, keepLabels, type Matrix, newSeries, type Series } from './matrix.ts';

/**
 * `sum`, `avg`, … `topk`, `sort` over a matrix, step by step. `approx_topk` is not planned and does not get here.
 * `isDistinct`: no two series of the input have equal labels.
 */
export function aggregateVector(
  op: VectorOp,
  parameter: number | null,
  grouping: Grouping,
  input: Matrix,
  isDistinct = false,
): Matrix {
  switch (op) {
    case 'topk':
    case 'bottomk':
      return { timesMs: input.timesMs, series: selectK(op, parameter ?? 0, grouping, input) };
    case 'sort':
    case 'sort_desc':
      return { timesMs: input.timesMs, series: sortByValue(op, input.series) };
    case 'sum':
    case 'avg':
    case 'count':
    case 'max':
    case 'min':
    case 'stddev':
    case 'stdvar':
      if (isDistinct && isReduced(op, grouping, input)) return input;
      return { timesMs: input.timesMs, series: reduce(op, grouping, input) };
    case 'approx_topk':
      throw new TypeError('approx_topk cannot be evaluated');
    default:
      return op satisfies never;
  }
}

type ReducingOp = 'sum' | 'avg' | 'count' | 'max' | 'min' | 'stddev' | 'stdvar';

/** Running state of a group; columns are per step. */
interface GroupState {
  readonly series: Series;
  readonly counts: Float64Array;
  /** Of avg, stddev and stdvar. */
  readonly means: Float64Array;
}

function reduce(op: ReducingOp, grouping: Grouping, input: Matrix): Series[] {
  const steps = input.timesMs.length;
  const groups = new Map<string, GroupState>();
  const labelsOf = groupLabels(grouping);
  for (const series of input.series) {
    const labels = labelsOf(series.labels);
    const key = labelsKey(labels);
    let state = groups.get(key);
    if (state === undefined) {
      state = { series: newSeries(labels, steps), counts: new Float64Array(steps), means: new Float64Array(steps) };
      groups.set(key, state);
    }
    for (let step = 0; step < steps; step++) {
      if (series.present[step] === 1) addSample(op, state, step, series.values[step]!);
    }
  }
  const result = [...groups.values()];
  for (const state of result) finishGroup(op, state);
  return result.map((state) => state.series).filter((series) => !isEmpty(series));
}

/**
 * Whether every group has one of these distinct series and the operation leaves it as it is. So it mostly is behind a
 * range aggregation that already has the grouping; one by a label of many values then costs little more than its scan.
 */
function isReduced(op: ReducingOp, { without, labels: names }: Grouping, input: Matrix): boolean {
  if (without || names.length === 0 || !(op === 'sum' || op === 'max' || op === 'min')) return false;
  // A sum of one sample makes a zero of minus zero; empty series have no place in an answer.
  const { vector } = input; // before `series`, which would make all of them
  if (vector !== undefined) {
    for (const name of vector.names) if (!names.includes(name)) return false;
    return op !== 'sum' || !hasMinusZero(vector.values);
  }
  const { series } = input;
  for (const { labels } of series) for (const [name] of labels) if (!names.includes(name)) return false;
  return series.every((series) => !isEmpty(series) && !(op === 'sum' && hasMinusZero(series.values)));
}

function hasMinusZero(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] === 0 && Object.is(values[i], -0)) return true;
  return false;
}

function hasNaN(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i]!)) return true;
  return false;
}

function addSample(op: ReducingOp, state: GroupState, step: number, value: number): void {
  const { values, present } = state.series;
  const n = state.counts[step]! + 1;
  state.counts[step] = n;
  present[step] = 1;
  switch (op) {
    case 'count':
      return;
    case 'sum':
      values[step]! += value;
      return;
    case 'max':
      if (n === 1 || values[step]! < value || Number.isNaN(values[step]!)) values[step] = value;
      return;
    case 'min':
      if (n === 1 || values[step]! > value || Number.isNaN(values[step]!)) values[step] = value;
      return;
    case 'avg': {
      const mean = state.means[step]!;
      if (!Number.isFinite(mean) && (Number.isFinite(value) || value === mean)) return;
      state.means[step] = mean + (value / n - mean / n);
      return;
    }
    case 'stddev':
    case 'stdvar': {
      const delta = value - state.means[step]!;
      state.means[step]! += delta / n;
      values[step]! += delta * (value - state.means[step]!);
      return;
    }
    default:
      op satisfies never;
  }
}

function finishGroup(op: ReducingOp, state: GroupState): void {
  const { values } = state.series;
  for (let step = 0; step < values.length; step++) {
    if (op === 'count') values[step] = state.counts[step]!;
    else if (op === 'avg') values[step] = state.means[step]!;
    else if (op === 'stdvar') values[step]! /= state.counts[step]!;
    else if (op === 'stddev') values[step] = Math.sqrt(values[step]! / state.counts[step]!);
  }
}

/** The best k samples of every group and step, offered in order of labels. Series keep their labels. */
function selectK(op: 'topk' | 'bottomk', k: number, grouping: Grouping, input: Matrix): Series[] {
  if (grouping.without || grouping.labels.length > 0) {
    const labelsOf = groupLabels(grouping);
    const groups = Map.groupBy(inOrderOfLabels(input.series), (series) => labelsKey(labelsOf(series.labels)));
    return [...groups.values()].flatMap((members) => bestOf(op, k, members));
  }
  const { vector } = input;
  if (vector !== undefined && !hasNaN(vector.values)) {
    return selectFromVector(op, k, vector);
  }
  const { series } = input;
  return selectWithoutTies(op, k, series) ?? bestOf(op, k, inOrderOfLabels(withoutHopeless(op, k, series)));
}

function inOrderOfLabels(series: readonly Series[]): Series[] {
  return [...series].sort((a, b) => compareLabels(a.labels, b.labels));
}

/** `members`: in order of labels. */
function bestOf(op: 'topk' | 'bottomk', k: number, members: readonly Series[]): Series[] {
  const selected = members.map(({ labels, values }) => ({ labels, values, present: new Uint8Array(values.length) }));
  const steps = members[0]?.values.length ?? 0;
  for (let step = 0; step < steps; step++) {
    const best = new BestK(k, op === 'topk');
    members.forEach((series, m) => {
      if (series.present[step] === 1) best.add(m, series.values[step]!);
    });
    for (const m of best.items) selected[m]!.present[step] = 1;
  }
  return selected.filter((series) => !isEmpty(series));
}

/** As for series, without looking at more of them than can matter. No value is NaN. */
function selectFromVector(op: 'topk' | 'bottomk', k: number, vector: InstantVector): Series[] {
  const { values } = vector;
  const isTop = op === 'topk';
  const best = new BestK(k, isTop);
  let { worst } = best;
  for (let i = 0; i < values.length; i++) {
    if (isTop ? values[i]! <= worst : values[i]! >= worst) continue;
    best.add(i, values[i]!);
    ({ worst } = best);
  }
  let ties = 0;
  for (let i = 0; i < values.length; i++) if (values[i] === worst) ties++;
  for (const i of best.items) if (values[i] === worst) ties--;
  const candidates = ties > 0 ? hopeful(k, isTop, vector) : [...best.items];
  candidates.sort((a, b) => vector.compare(a, b));
  return bestOf(
    op,
    k,
    candidates.map((i) => vector.seriesAt(i)),
  );
}

/**
 * Without samples that cannot be among the best k, in no particular order: a sample displaces none that is as good, so one
 * before which k that are no worse stand by labels changes nothing. Of about the worse half such k are looked for, then of
 * the worse half of what is left; of values that are counted a few times each hardly any stay.
 */
function hopeful(k: number, isTop: boolean, vector: InstantVector): number[] {
  const { values } = vector;
  const kept: number[] = [];
  const left = new Uint32Array(values.length);
  for (let i = 0; i < left.length; i++) left[i] = i;
  let length = left.length;
  for (let round = 0; round < MAX_ROUNDS && k <= MAX_FIRST && length > k + ENOUGH; round++) {
    const middle = typicalOf(values, left, length);
    /** Of those that are no worse, the first k by labels, ascending. */
    const first: number[] = [];
    /** The others of those stand behind k. */
    const early: number[] = [];
    for (let n = 0; n < length; n++) {
      const i = left[n]!;
      if (isTop ? values[i]! < middle : values[i]! > middle) continue;
      if (first.length === k && vector.compare(i, first[k - 1]!) >= 0) continue;
      let at = first.length;
      while (at > 0 && vector.compare(first[at - 1]!, i) > 0) at--;
      first.splice(at, 0, i);
      if (first.length > k) first.pop();
      early.push(i);
    }
    const last = first.length === k ? first[k - 1]! : -1;
    const isBefore = (i: number): boolean => last < 0 || vector.compare(i, last) <= 0;
    for (const i of early) if (values[i] === middle && isBefore(i)) kept.push(i);
    let better = 0;
    for (let n = 0; n < length; n++) {
      const i = left[n]!;
      const value = values[i]!;
      if (value === middle) continue;
      if (isTop ? value > middle : value < middle) left[better++] = i;
      else if (isBefore(i)) kept.push(i);
    }
    length = better;
  }
  for (let n = 0; n < length; n++) kept.push(left[n]!);
  return kept;
}

/** About the middle one of the values of some samples. */
function typicalOf(values: Float64Array, samples: Uint32Array, length: number): number {
  const some = new Float64Array(Math.min(length, PROBES));
  for (let i = 0; i < some.length; i++) some[i] = values[samples[Math.floor((i * length) / some.length)]!]!;
  return some.sort()[some.length >> 1]!;
}

const PROBES = 65;
const MAX_ROUNDS = 24;
/** Fewer are sorted at once. */
const ENOUGH = 200;

/** Above this many, finding the first by labels costs more than sorting all. */
const MAX_FIRST = 100;

/**
 * An instant vector without the samples that cannot be among the best k, whatever the order of labels: one of the worst
 * value of all never displaces another, so it has a place only when it is one of the first k by labels. Of many values
 * that are counted once that leaves few to sort.
 */
function withoutHopeless(op: 'topk' | 'bottomk', k: number, input: readonly Series[]): readonly Series[] {
  if (k > MAX_FIRST || input.length <= k || input[0]!.values.length !== 1) return input;
  let worst = input[0]!.values[0]!;
  /** The first k by labels, ascending. */
  const first: Series[] = [];
  for (const series of input) {
    const value = series.values[0]!;
    if (series.present[0] === 0 || Number.isNaN(value)) return input;
    if (op === 'topk' ? value < worst : value > worst) worst = value;
    if (first.length === k && compareLabels(series.labels, first[k - 1]!.labels) >= 0) continue;
    let at = first.length;
    while (at > 0 && compareLabels(first[at - 1]!.labels, series.labels) > 0) at--;
    first.splice(at, 0, series);
    if (first.length > k) first.pop();
  }
  const firstByLabels = new Set(first);
  return input.filter((series) => series.values[0] !== worst || firstByLabels.has(series));
}

/**
 * The best k of one group when no order of series is needed to tell them: none that was left out equals one that stays.
 * Null otherwise. Sorting tens of thousands of series by labels takes longer than all the rest.
 */
function selectWithoutTies(op: 'topk' | 'bottomk', k: number, input: readonly Series[]): Series[] | null {
  const selected = new Map<Series, Uint8Array>();
  const steps = input[0]?.values.length ?? 0;
  for (let step = 0; step < steps; step++) {
    const best = new BestK(k, op === 'topk');
    for (let i = 0; i < input.length; i++) {
      const { present, values } = input[i]!;
      if (present[step] === 0) continue;
      if (Number.isNaN(values[step]!)) return null;
      best.add(i, values[step]!);
    }
    const items = new Set(best.items);
    let worst = op === 'topk' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    for (const item of items) {
      const value = input[item]!.values[step]!;
      worst = op === 'topk' ? Math.min(worst, value) : Math.max(worst, value);
    }
    for (let i = 0; i < input.length; i++) {
      const { present, values } = input[i]!;
      if (present[step] === 1 && values[step] === worst && !items.has(i)) return null;
    }
    for (const item of items) {
      const series = input[item]!;
      const present = selected.get(series) ?? new Uint8Array(steps);
      present[step] = 1;
      selected.set(series, present);
    }
  }
  return [...selected]
    .map(([{ labels, values }, present]) => ({ labels, values, present }))
    .sort((a, b) => compareLabels(a.labels, b.labels));
}

/** Orders an instant vector. Over several steps there is no order of series to speak of; they stay as they are. */
function sortByValue(op: 'sort' | 'sort_desc', series: readonly Series[]): readonly Series[] {
  if (series.length === 0 || series[0]!.values.length !== 1) return series;
  return [...series].sort(
    (a, b) => byValue(a.values[0]!, b.values[0]!, op === 'sort_desc') || compareLabels(a.labels, b.labels),
  );
}

function byValue(a: number, b: number, descending: boolean): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  if (a === b) return 0;
  return a < b === descending ? 1 : -1;
}

function groupLabels(grouping: Grouping): (labels: Labels) => Labels {
  const names = new Set(grouping.labels);
  return grouping.without ? (labels) => dropLabels(labels, names) : (labels) => keepLabels(labels, names);
}
