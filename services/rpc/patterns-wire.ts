import {
  CorruptMessageError,
  decodeMatchers,
  encodeMatchers,
  type FoundPatternMessage,
  fromInt64,
  messages,
  toCount,
  toInt64,
} from './ingester-messages.ts';
import type { PatternRequest, PatternSamples, PatternSeries, StreamPatterns } from './patterns.ts';
import { RecentTooLargeError } from './recent-wire.ts';

/** Question and answer of `Patterns` in `proto/ingester.proto`. */

const MESSAGE_BYTES = 1024 * 1024;
/** Of a step, at most, as they are counted for the size of a message. */
const SAMPLE_BYTES = 12;

export const encodePatternRequest = ({ tenant, matchers, startMs, endMs, stepMs }: PatternRequest): Buffer =>
  messages.patternsRequest.encode({
    tenant,
    matchers: encodeMatchers(matchers),
    startMs: toInt64(BigInt(startMs)),
    endMs: toInt64(BigInt(endMs)),
    stepMs,
  });

/** Throws CorruptMessageError. */
export function decodePatternRequest(bytes: Buffer): PatternRequest {
  const message = messages.patternsRequest.decode(bytes);
  const stepMs = toCount(message.stepMs);
  if (stepMs === 0) throw new CorruptMessageError('a step of no length');
  return {
    tenant: message.tenant,
    matchers: decodeMatchers(message.matchers),
    startMs: Number(fromInt64(message.startMs)),
    endMs: Number(fromInt64(message.endMs)),
    stepMs,
  };
}

/** Messages of about 1 MB: none is longer by more than one pattern. */
export function* encodePatterns(streams: readonly StreamPatterns[], { startMs }: PatternRequest): Generator<Buffer> {
  let patterns: FoundPatternMessage[] = [];
  let bytes = 0;
  for (const { stream, series } of streams) {
    for (const [i, { pattern, level, samples }] of series.entries()) {
      const name = i === 0 ? stream : '';
      const told = samples.filter(([, lines]) => lines > 0);
      const offsetsMs = told.map(([start]) => start - startMs);
      patterns.push({ stream: name, pattern, level, offsetsMs, lines: told.map(([, lines]) => lines) });
      bytes += name.length + pattern.length + told.length * SAMPLE_BYTES;
      if (bytes < MESSAGE_BYTES) continue;
      yield messages.patternsResponse.encode({ patterns });
      patterns = [];
      bytes = 0;
    }
  }
  if (patterns.length > 0) yield messages.patternsResponse.encode({ patterns });
}

export class PatternsDecoder {
  readonly #startMs: number;
  readonly #maxBytes: number;
  readonly #streams: { readonly stream: string; readonly series: PatternSeries[] }[] = [];
  #bytes = 0;

  constructor({ startMs }: PatternRequest, maxBytes: number) {
    this.#startMs = startMs;
    this.#maxBytes = maxBytes;
  }

  get streams(): readonly StreamPatterns[] {
    return this.#streams;
  }

  /** Throws CorruptMessageError, and RecentTooLargeError. */
  add(message: Buffer): void {
    this.#bytes += message.length;
    if (this.#bytes > this.#maxBytes) {
      throw new RecentTooLargeError(`the patterns that an ingester found take more than ${this.#maxBytes} bytes`);
    }
    const { patterns = [] } = messages.patternsResponse.decode(message);
    for (const { stream, pattern, level, offsetsMs = [], lines = [] } of patterns) {
      if (offsetsMs.length !== lines.length) throw new CorruptMessageError('steps without a count of lines');
      const samples: PatternSamples = offsetsMs.map((offset, i) => [
        this.#startMs + toCount(offset),
        toCount(lines[i]!),
      ]);
      if (stream !== '') this.#streams.push({ stream, series: [] });
      const last = this.#streams.at(-1);
      if (last === undefined) throw new CorruptMessageError('a pattern of no stream');
      last.series.push({ pattern, level, samples });
    }
  }
}
