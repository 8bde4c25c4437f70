/**
 * Which values the structured metadata of a block has, as a Bloom filter over pairs of name and value: 10 bits a pair
 * and 5 hashes, so that one absent value in 106 seems to be there. How many bits there are, readers see from the size.
 */
import type { FilterSet } from './filter-set.ts';

const BITS_PER_VALUE = 10;
const PROBES = 5;

export interface ValueColumn {
  /** UTF-8. */
  readonly nameBytes: Uint8Array;
  /** How many distinct values there are, absence left out: value v is `source[starts[v], ends[v])`. */
  readonly valueCount: number;
  readonly source: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Empty when there are no values. */
export function encodeValueBits(columns: readonly ValueColumn[]): Uint8Array {
  let count = 0;
  for (const { valueCount } of columns) count += valueCount;
  const bytes = new Uint8Array(Math.ceil((count * BITS_PER_VALUE) / 8));
  const bits = 8 * bytes.length;
  for (const { nameBytes, valueCount, source, starts, ends } of columns) {
    const seed = hashOf(hashOf(SEED, nameBytes, 0, nameBytes.length), SEPARATOR, 0, 1);
    for (let v = 0; v < valueCount; v++) {
      const hash = hashOf(seed, source, starts[v]!, ends[v]!);
      const step = stepOf(hash);
      for (let p = 0, probe = mixed(hash); p < PROBES; p++, probe = (probe + step) >>> 0) {
        const bit = scale(probe, bits);
        bytes[bit >>> 3]! |= 1 << (bit & 7);
      }
    }
  }
  return bytes;
}

/** A value to look for in many filters. */
export class ValueProbe {
  readonly #probes: readonly number[];

  constructor(name: string, value: string) {
    const text = Buffer.from(`${name}\0${value}`, 'utf8');
    const hash = hashOf(SEED, text, 0, text.length);
    const step = stepOf(hash);
    const first = mixed(hash);
    this.#probes = Array.from({ length: PROBES }, (_, p) => (first + p * step) >>> 0);
  }

  /** As `FilterSieve.keep`: leaves out blocks of which no row has the value. */
  keep({ bytes, textEnds, valuesEnds }: FilterSet, blocks: Uint32Array, count: number): number {
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const block = blocks[i]!;
      const start = textEnds[block]!;
      const end = valuesEnds[block]!;
      // Values end at 0 where nothing is known.
      if (end === 0 || this.#mayBeIn(bytes, start, end)) blocks[kept++] = block;
    }
    return kept;
  }

  #mayBeIn(bytes: Uint8Array, start: number, end: number): boolean {
    const bits = 8 * (end - start);
    if (bits === 0) return false;
    for (const probe of this.#probes) {
      const bit = scale(probe, bits);
      if ((bytes[start + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  }
}

// FNV-1a, then the finalizer of MurmurHash3: the first spreads few characters badly over the high bits.
const SEED = 0x811c9dc5;
const SEPARATOR = new Uint8Array(1);

function hashOf(seed: number, bytes: Uint8Array, start: number, end: number): number {
  let hash = seed;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash;
}

function mixed(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function stepOf(hash: number): number {
  return mixed(hash ^ 0x5bd1e995) | 1;
}

function scale(probe: number, bits: number): number {
  return Math.floor((probe / 2 ** 32) * bits);
}
