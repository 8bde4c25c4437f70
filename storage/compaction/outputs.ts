import type { Labels } from '../../logql/labels.ts';
import type { EncodedBlock } from '../block/types.ts';
import { systemClock } from '../host/clock.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { type SegmentSeries, writeSegment } from '../segment/index.ts';

export interface OutputOptions {
  readonly tenant: string;
  /** 24 hexadecimal digits; each segment's number among the outputs follows. */
  readonly idPrefix: string;
  /** A segment ends with the last stream that fits. */
  readonly maxBytes: number;
  /** Ascending; no segment has rows on both sides of one. */
  readonly cutsNs: readonly bigint[];
}

export interface WrittenOutput {
  readonly key: string;
  readonly sizeBytes: number;
}

/** A segment in the making. */
interface Draft {
  readonly series: { labels: Labels; blocks: EncodedBlock[] }[];
  bytes: number;
  /** Blocks of the stream that is being added. */
  readonly stream: EncodedBlock[];
  streamBytes: number;
  /** Newest row of these. */
  streamMaxNs: bigint;
}

const MAX_OUTPUTS = 2 ** 16;

/**
 * Lays the blocks of streams, which come in order of labels, into segments, one after the other for each stretch of time
 * between cuts, and stores each when it is full. A stream is in one of a stretch's segments, unless it alone is larger
 * than a segment may be: then it goes on, later in time, in the next. Holds as much as two segments of full size.
 */
export class Outputs {
  readonly written: WrittenOutput[] = [];
  readonly #store: ObjectStore;
  readonly #options: OutputOptions;
  readonly #signal: AbortSignal | undefined;
  /** By number of the stretch of time. */
  readonly #drafts = new Map<number, Draft>();
  /** Where the last block of the current stream went. */
  #current: Draft | null = null;
  #heldBytes = 0;

  constructor(store: ObjectStore, options: OutputOptions, signal?: AbortSignal) {
    this.#store = store;
    this.#options = options;
    this.#signal = signal;
  }

  /** The next block of the current stream, in order of its oldest row. Its bytes are kept. Throws ObjectStoreError. */
  async add(labels: Labels, block: EncodedBlock): Promise<void> {
    const { maxBytes, cutsNs } = this.#options;
    const draft = this.#draftOf(stretchOf(cutsNs, block.stats.minNs));
    if (draft !== this.#current) await this.endStream(labels);
    this.#current = draft;
    const bytes = sizeOf(block);
    const { minNs, maxNs } = block.stats;
    const isFull = draft.stream.length > 0 && draft.streamBytes + bytes > maxBytes;
    // What overlaps stays together, down to rows of one time: apart it would look as if it were to be merged.
    if (isFull && minNs > draft.streamMaxNs) {
      await this.#closeStream(draft, labels);
      await this.#write(draft);
    }
    if (draft.stream.length === 0 || maxNs > draft.streamMaxNs) draft.streamMaxNs = maxNs;
    draft.stream.push(block);
    draft.streamBytes += bytes;
    this.#heldBytes += bytes;
  }

  /** No block of the stream follows. Throws ObjectStoreError. */
  async endStream(labels: Labels): Promise<void> {
    if (this.#current === null) return;
    await this.#closeStream(this.#current, labels);
    this.#current = null;
    while (this.#heldBytes > 2 * this.#options.maxBytes) {
      await this.#write([...this.#drafts.values()].reduce((a, b) => (a.bytes >= b.bytes ? a : b)));
    }
  }

  /** Stores what is left. Throws ObjectStoreError. */
  async finish(): Promise<void> {
    for (const draft of this.#drafts.values()) await this.#write(draft);
  }

  #draftOf(stretch: number): Draft {
    let draft = this.#drafts.get(stretch);
    if (!draft) {
      draft = { series: [], bytes: 0, stream: [], streamBytes: 0, streamMaxNs: 0n };
      this.#drafts.set(stretch, draft);
    }
    return draft;
  }

  async #closeStream(draft: Draft, labels: Labels): Promise<void> {
    const { stream, streamBytes } = draft;
    if (draft.bytes > 0 && draft.bytes + streamBytes > this.#options.maxBytes) await this.#write(draft);
    draft.series.push({ labels, blocks: stream.splice(0) });
    draft.bytes += streamBytes;
    draft.streamBytes = 0;
  }

  async #write(draft: Draft): Promise<void> {
    const series: SegmentSeries[] = draft.series.splice(0);
    if (series.length === 0) return;
    this.#heldBytes -= draft.bytes;
    draft.bytes = 0;
    const { tenant, idPrefix } = this.#options;
    const number = this.written.length;
    if (number >= MAX_OUTPUTS) throw new RangeError(`a merge makes at most ${MAX_OUTPUTS} segments`);
    const id = idPrefix + number.toString(16).padStart(4, '0');
    const { key, pieces, sizeBytes } = writeSegment(tenant, series, systemClock, id);
    await this.#store.put(key, pieces, this.#signal);
    this.written.push({ key, sizeBytes });
  }
}

const sizeOf = ({ bytes, filter }: EncodedBlock): number => bytes.length + filter.length;

/** How many cuts lie at or before a time. */
export function stretchOf(cutsNs: readonly bigint[], ns: bigint): number {
  let low = 0;
  let high = cutsNs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cutsNs[middle]! <= ns) low = middle + 1;
    else high = middle;
  }
  return low;
}
