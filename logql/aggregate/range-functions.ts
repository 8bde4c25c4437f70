/** `quantile_over_time`: interpolates linearly between the two samples around rank q·(n − 1). Sorts `values`. */
export function quantile(q: number, values: Float64Array): number {
  if (values.length === 0 || Number.isNaN(q)) return Number.NaN;
  if (q < 0) return Number.NEGATIVE_INFINITY;
  if (q > 1) return Number.POSITIVE_INFINITY;
  sortNaNFirst(values);
  const rank = q * (values.length - 1);
  const lower = Math.floor(rank);
  const upper = Math.min(values.length - 1, lower + 1);
  const weight = rank - lower;
  return values[lower]! * (1 - weight) + values[upper]! * weight;
}

/** Typed arrays sort NaN to the end; quantiles count it as the lowest. */
function sortNaNFirst(values: Float64Array): void {
  values.sort();
  let numbers = values.length;
  while (numbers > 0 && Number.isNaN(values[numbers - 1]!)) numbers--;
  if (numbers < values.length) {
    values.copyWithin(values.length - numbers, 0, numbers);
    values.fill(Number.NaN, 0, values.length - numbers);
  }
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
