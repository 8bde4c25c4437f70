/**
 * `quantile_over_time`: interpolates linearly between the two samples around rank q·(n − 1); NaN counts as the lowest.
 * Reorders `values`. Windows overlap and each needs only two of its samples, so they are selected (Hoare's quickselect)
 * instead of sorted: an hour's window at a step of 15 s would sort every sample 240 times.
 */
export function quantile(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  const rank = q * (values.length - 1);
  const lower = Math.floor(rank);
  const weight = rank - lower;
  if (values.length - lower <= MAX_LARGEST) {
    const [low, high = low] = largest(values, values.length - lower);
    return low! * (1 - weight) + high! * weight;
  }
  const nans = moveNaNsFirst(values);
  if (lower < nans) return Number.NaN;
  select(values, nans, lower);
  const low = values[lower]!;
  // The last sample is its own upper neighbour. An infinite one then gives NaN (∞·0), in Loki too.
  let high = values[Math.min(lower + 1, values.length - 1)]!;
  for (let i = lower + 2; i < values.length; i++) if (values[i]! < high) high = values[i]!;
  return low * (1 - weight) + high * weight;
}

/** So few of the largest values are found faster by keeping them than by moving all. */
const MAX_LARGEST = 64;
const kept = new Float64Array(MAX_LARGEST);

/** The two lowest of the `count` largest values, or the only one; NaN counts as the lowest of all. */
function largest(values: Float64Array, count: number): number[] {
  let length = 0;
  let least = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (length === count ? !(value > least) : Number.isNaN(value)) continue;
    let at: number;
    if (length < count) {
      at = length++;
      for (; at > 0 && kept[at - 1]! > value; at--) kept[at] = kept[at - 1]!;
    } else {
      at = 0;
      for (; at + 1 < length && kept[at + 1]! < value; at++) kept[at] = kept[at + 1]!;
    }
    kept[at] = value;
    if (length === count) least = kept[0]!;
  }
  if (length < count) return [Number.NaN];
  return count === 1 ? [kept[0]!] : [kept[0]!, kept[1]!];
}

function moveNaNsFirst(values: Float64Array): number {
  let nans = 0;
  for (let i = 0; i < values.length; i++) {
    if (!Number.isNaN(values[i]!)) continue;
    values[i] = values[nans]!;
    values[nans++] = Number.NaN;
  }
  return nans;
}

/** Reorders `values` from `from` on so that the one at `k` is where sorting would put it, smaller ones before it. */
function select(values: Float64Array, from: number, k: number): void {
  let low = from;
  let high = values.length - 1;
  while (low < high) {
    const pivot = medianOfThree(values[low]!, values[(low + high) >>> 1]!, values[high]!);
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else return;
  }
}

function medianOfThree(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/**
 * `rate_counter` over samples `[from, to)` in order of time (ns): the increase, resets added back, extrapolated to the
 * window and divided by the range in seconds. Loki measures the distance of samples in µs and the extrapolation in
 * seconds without converting, which leaves next to nothing of the extrapolation; reproduced, for the same answers.
 */
export function counterRate(
  values: Float64Array,
  timesNs: Float64Array,
  from: number,
  to: number,
  rangeSeconds: number,
): number {
  const n = to - from;
  if (n < 2) return 0;
  const first = values[from]!;
  let increase = values[to - 1]! - first;
  for (let i = from + 1; i < to; i++) {
    if (values[i]! < values[i - 1]!) increase += values[i - 1]!;
  }
  const sampled = Math.floor((timesNs[to - 1]! - timesNs[from]!) / 1000);
  let before = rangeSeconds;
  if (increase > 0 && first >= 0) before = Math.min(before, sampled * (first / increase));
  const average = sampled / (n - 1);
  const extrapolated = before < average * 1.1 ? sampled + before : sampled + average / 2;
  return (increase * (extrapolated / sampled)) / rangeSeconds;
}
