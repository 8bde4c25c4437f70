import type { StreamRows } from '../rpc/push-batch.ts';
import type { KnownStream } from './stream-labels.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** What of a stream of a push is valid, and where it goes. */
export interface AcceptedStream {
  readonly stream: KnownStream;
  /** One, or more when the rows span more time than one base can hold exactly. */
  readonly rows: readonly StreamRows[];
  readonly lineCount: number;
  /** Lines and metadata, without the detected level. */
  readonly bytes: number;
  /** Set once the ring was asked. */
  ingesters: readonly string[];
}

/** An accepted stream that is being made. */
export interface OpenStream extends Writable<AcceptedStream> {
  readonly rows: Writable<StreamRows>[];
}

/** What may be kept; 300 bytes each. */
const MAX_SPARES = 2000;
const NO_BYTES = new Uint8Array(0);
const NO_WORDS = new Uint32Array(0);
const NO_OFFSETS = new Float64Array(0);
const NOWHERE: readonly string[] = [];

/**
 * The accepted streams of a push, in objects that pushes hand on to each other. They are needed until the log is written,
 * and with a hundred thousand small streams all of them grew old on the way there: half of what V8 had to collect.
 */
export class AcceptedStreams {
  readonly #streams: OpenStream[] = [];
  #taken = 0;

  /** With one StreamRows, which holds anything. */
  take(stream: KnownStream): OpenStream {
    let taken = this.#streams[this.#taken++];
    if (taken === undefined) {
      taken = { stream, rows: [anyRows()], lineCount: 0, bytes: 0, ingesters: NOWHERE };
      this.#streams.push(taken);
    } else taken.stream = stream;
    return taken;
  }

  /** Nobody may look at what was taken any more. */
  clear(): void {
    for (let i = 0; i < this.#taken; i++) {
      const { rows } = this.#streams[i]!;
      rows.length = 1;
      rows[0]!.source = NO_BYTES; // a whole request, which others use by now
    }
    if (this.#streams.length > MAX_SPARES) this.#streams.length = MAX_SPARES;
    this.#taken = 0;
  }
}

/** To be filled. */
export const anyRows = (): Writable<StreamRows> => ({
  labels: '',
  baseNs: 0n,
  firstRow: 0,
  rowCount: 0,
  offsetsNs: NO_OFFSETS,
  lineStarts: NO_WORDS,
  lineLengths: NO_WORDS,
  source: NO_BYTES,
  metaIndexes: NO_WORDS,
  metaSetCount: 0,
  metaEnds: NO_WORDS,
  metaBytes: NO_BYTES,
  ascending: true,
});
