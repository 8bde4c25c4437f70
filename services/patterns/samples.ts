/** Lines of one pattern in one interval. */
export type Sample = readonly [startMs: number, lines: number];

interface Chunk {
  /** Starts of intervals, ascending. */
  readonly starts: number[];
  readonly counts: number[];
}

/** Memory of one sample, in bytes: two numbers in arrays with room to grow. */
const SAMPLE_BYTES = 24;

/**
 * How many lines a pattern had, in intervals. They lie in chunks of at most `maxChunkAgeMs`; between chunks there are no
 * zeros when intervals are joined into larger ones.
 */
export class SampleChunks {
  #chunks: Chunk[] = [];
  #count = 0;

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get sizeBytes(): number {
    return this.#count * SAMPLE_BYTES;
  }

  /** Lines that are older than the newest interval are not counted. */
  add(timeMs: number, lines: number, intervalMs: number, maxChunkAgeMs: number): void {
    const start = timeMs - (timeMs % intervalMs);
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || start - chunk.starts[0]! >= maxChunkAgeMs) {
      chunk = { starts: [], counts: [] };
      this.#chunks.push(chunk);
    }
    const last = chunk.starts.length - 1;
    if (last >= 0 && chunk.starts[last] === start) {
      chunk.counts[last]! += lines;
      return;
    }
    if (last >= 0 && timeMs < chunk.starts[last]!) return;
    chunk.starts.push(start);
    chunk.counts.push(lines);
    this.#count++;
  }

  /** Intervals that start in `[startMs, endMs)`, joined into steps when `stepMs` is not the interval. */
  read(startMs: number, endMs: number, stepMs: number, intervalMs: number): Sample[] {
    const found: Sample[] = [];
    for (const { starts, counts } of this.#chunks) {
      const from = lowerBound(starts, startMs);
      const to = lowerBound(starts, endMs);
      if (from >= to) continue;
      if (stepMs === intervalMs) {
        for (let i = from; i < to; i++) found.push([starts[i]!, counts[i]!]);
        continue;
      }
      let step = starts[from]! - (starts[from]! % stepMs);
      let lines = 0;
      for (let i = from; i < to; i++) {
        for (; starts[i]! >= step + stepMs; step += stepMs) {
          found.push([step, lines]);
          lines = 0;
        }
        lines += counts[i]!;
      }
      found.push([step, lines]);
    }
    return found;
  }

  /** Drops chunks whose newest interval started before `oldestMs`. */
  prune(oldestMs: number): void {
    this.#chunks = this.#chunks.filter(({ starts }) => starts.at(-1)! >= oldestMs);
    this.#count = this.#chunks.reduce((sum, { starts }) => sum + starts.length, 0);
  }
}

/** Index of the first value that is not below `limit`. */
function lowerBound(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
