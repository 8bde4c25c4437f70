import type { Direction } from '../../logql/plan/index.ts';
import type { ScanUnit } from '../../storage/scan/units.ts';

/**
 * Units in the order in which a log query looks at them: backward by their newest row, forward by their oldest; at one
 * time by the rank of the stream. A heap, because most queries reach their limit in a few of thousands.
 */
export class UnitQueue {
  readonly #heap: ScanUnit[];
  readonly #backward: boolean;

  constructor(units: readonly ScanUnit[], direction: Direction) {
    this.#heap = [...units];
    this.#backward = direction === 'backward';
    for (let at = (units.length >> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  get first(): ScanUnit | undefined {
    return this.#heap[0];
  }

  removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  clear(): void {
    this.#heap.length = 0;
  }

  #sink(at: number): void {
    const heap = this.#heap;
    const unit = heap[at]!;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, unit)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = unit;
  }

  #isBefore(a: ScanUnit, b: ScanUnit): boolean {
    const timeOfA = this.#backward ? a.maxNs : a.minNs;
    const timeOfB = this.#backward ? b.maxNs : b.minNs;
    if (timeOfA === timeOfB) return a.rank < b.rank;
    return this.#backward ? timeOfA > timeOfB : timeOfA < timeOfB;
  }
}
