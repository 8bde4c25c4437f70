/** Sizes between two powers of two: at most a fifth of a piece of memory lies idle. */
const STEPS = 4;

/** Number of the smallest class that holds `bytes`, which is at least 2 * STEPS. */
export function sizeClass(bytes: number): number {
  const power = 31 - Math.clz32(bytes - 1);
  const step = Math.floor((bytes - 1 - 2 ** power) / (2 ** power / STEPS));
  return STEPS * power + step;
}

/** Bytes of a class: `2^power * (1 + (step + 1) / STEPS)`. */
export function classBytes(place: number): number {
  const power = Math.floor(place / STEPS);
  return 2 ** power + ((place % STEPS) + 1) * (2 ** power / STEPS);
}
