import { compareLabels, type Labels } from '../../logql/labels.ts';
import type { SegmentFooter } from '../segment/index.ts';

/** A stream of several segments: the number of each segment that has it, ascending, and of the series in it. */
export interface SharedStream {
  readonly labels: Labels;
  readonly parts: readonly { readonly source: number; readonly series: number }[];
}

interface Cursor {
  readonly source: number;
  readonly footer: SegmentFooter;
  series: number;
  labels: Labels;
}

/** All streams of the segments in order of labels, each once. Holds one stream of each segment. */
export function* streamsOf(footers: readonly SegmentFooter[]): Generator<SharedStream> {
  const heap: Cursor[] = [];
  footers.forEach((footer, source) => {
    if (footer.seriesCount > 0) push(heap, { source, footer, series: 0, labels: footer.labelsOf(0) });
  });
  while (heap.length > 0) {
    const { labels } = heap[0]!;
    const parts: { source: number; series: number }[] = [];
    while (heap.length > 0 && compareLabels(heap[0]!.labels, labels) === 0) {
      const cursor = heap[0]!;
      parts.push({ source: cursor.source, series: cursor.series });
      cursor.series++;
      if (cursor.series < cursor.footer.seriesCount) cursor.labels = cursor.footer.labelsOf(cursor.series);
      else {
        const last = heap.pop()!;
        if (heap.length === 0) break;
        heap[0] = last;
      }
      sink(heap);
    }
    yield { labels, parts };
  }
}

/** By labels, then in order of the segments. */
function isBefore(a: Cursor, b: Cursor): boolean {
  const order = compareLabels(a.labels, b.labels);
  return order < 0 || (order === 0 && a.source < b.source);
}

function push(heap: Cursor[], cursor: Cursor): void {
  let at = heap.push(cursor) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(heap[at]!, heap[parent]!)) return;
    [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
    at = parent;
  }
}

function sink(heap: Cursor[]): void {
  for (let at = 0; ; ) {
    const left = 2 * at + 1;
    if (left >= heap.length) return;
    const right = left + 1;
    const least = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left;
    if (!isBefore(heap[least]!, heap[at]!)) return;
    [heap[at], heap[least]] = [heap[least]!, heap[at]!];
    at = least;
  }
}
