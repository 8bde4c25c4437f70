/**
 * What proves, without opening a block, that no row of it can be in an answer (`docs/formats/filter.md`).
 *
 *     filter := u32 textBytes  u32 valueBytes  text  values (value-bits.ts)  letters
 *
 * Text and letters are those of `text-bits.ts`; filters of the first release have no letters.
 *
 * A block without a filter (no bytes at all) may contain anything.
 */
import type { Labels } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import { FilterSet } from './filter-set.ts';
import { BITS_PER_LETTER_GRAM, encodeTextBits } from './text-encoder.ts';
import { TextProbe } from './text-probe.ts';
import { encodeValueBits, type ValueColumn, ValueProbe } from './value-bits.ts';

const HEADER_BYTES = 8;

/** `lines`: joined, as they stand in the block. */
export function encodeFilter(lines: Uint8Array, metadata: readonly ValueColumn[]): Uint8Array {
  const { text, letters } = encodeTextBits(lines);
  const values = encodeValueBits(metadata);
  const filter = new Uint8Array(HEADER_BYTES + text.length + values.length + letters.length);
  const view = new DataView(filter.buffer);
  view.setUint32(0, text.length, true);
  view.setUint32(4, values.length, true);
  filter.set(text, HEADER_BYTES);
  filter.set(values, HEADER_BYTES + text.length);
  filter.set(letters, HEADER_BYTES + text.length + values.length);
  return filter;
}

/** How many distinct pieces of four letters the lines have, about, by their filter: a measure of how many words. */
export function letterGramsOf(filter: Uint8Array): number {
  const { valuesEnds, ends } = new FilterSet(filter, [0, filter.length]);
  return (8 * (ends[0]! - valuesEnds[0]!)) / BITS_PER_LETTER_GRAM;
}

/**
 * Which blocks of a stream may have rows for a condition. The first `count` numbers in `blocks`, ascending, name the ones to
 * look at; those that may stay, in place, and their number is returned.
 */
export interface FilterSieve {
  /** Names of labels that hide what is asked for: the blocks of streams that have none of these may be asked for at once. */
  readonly hiding: readonly string[];
  keep(filters: FilterSet, blocks: Uint32Array, count: number, stream: Labels): number;
}

/** Null when no filter can tell anything about the condition. */
export function compileFilterSieve(condition: RowCondition | null): FilterSieve | null {
  return condition === null ? null : compileSieve(condition);
}

function compileSieve(condition: RowCondition): FilterSieve | null {
  switch (condition.kind) {
    case 'text':
      return TextProbe.of(Buffer.from(condition.bytes, 'latin1'));
    case 'metadata':
      return new MetadataSieve(condition.name, condition.value);
    case 'all': {
      const sieves = condition.items.map(compileSieve).filter((sieve) => sieve !== null);
      return sieves.length === 0 ? null : new AllSieve(sieves);
    }
    case 'any': {
      const sieves = condition.items.map(compileSieve).filter((sieve) => sieve !== null);
      return sieves.length < condition.items.length ? null : new AnySieve(sieves);
    }
    default:
      return condition satisfies never;
  }
}

class MetadataSieve implements FilterSieve {
  readonly hiding: readonly string[];
  readonly #name: string;
  readonly #probe: ValueProbe;

  constructor(name: string, value: string) {
    this.hiding = [name];
    this.#name = name;
    this.#probe = new ValueProbe(name, value);
  }

  keep(filters: FilterSet, blocks: Uint32Array, count: number, stream: Labels): number {
    // A label of the stream hides the row's.
    if (stream.some(([name]) => name === this.#name)) return count;
    return this.#probe.keep(filters, blocks, count);
  }
}

class AllSieve implements FilterSieve {
  readonly hiding: readonly string[];
  readonly #items: readonly FilterSieve[];

  constructor(items: readonly FilterSieve[]) {
    this.hiding = items.flatMap((item) => item.hiding);
    this.#items = items;
  }

  keep(filters: FilterSet, blocks: Uint32Array, count: number, stream: Labels): number {
    for (const item of this.#items) count = item.keep(filters, blocks, count, stream);
    return count;
  }
}

class AnySieve implements FilterSieve {
  readonly hiding: readonly string[];
  readonly #items: readonly FilterSieve[];
  /** The blocks that no item has let through yet. */
  #left = new Uint32Array(64);
  /** By block 1 once an item lets it through. All 0 between calls. */
  #kept = new Uint8Array(64);

  constructor(items: readonly FilterSieve[]) {
    this.hiding = items.flatMap((item) => item.hiding);
    this.#items = items;
  }

  keep(filters: FilterSet, blocks: Uint32Array, count: number, stream: Labels): number {
    if (count === 0) return 0;
    if (this.#left.length < count) this.#left = new Uint32Array(2 * count);
    if (this.#kept.length <= blocks[count - 1]!) this.#kept = new Uint8Array(2 * blocks[count - 1]! + 1);
    const all = blocks.subarray(0, count);
    const left = this.#left;
    const kept = this.#kept;
    for (const item of this.#items) {
      let leftCount = 0;
      for (const block of all) if (kept[block] === 0) left[leftCount++] = block;
      const some = item.keep(filters, left, leftCount, stream);
      for (let i = 0; i < some; i++) kept[left[i]!] = 1;
      if (some === leftCount) break;
    }
    let keptCount = 0;
    for (const block of all) {
      if (kept[block] === 1) blocks[keptCount++] = block;
      kept[block] = 0;
    }
    return keptCount;
  }
}

/** Whether one block of the stream, with this filter, may have rows for a condition. */
export type FilterTest = (stream: Labels, filter: Uint8Array) => boolean;

/** As `compileFilterSieve`, for blocks that come one by one. */
export function compileFilterTest(condition: RowCondition | null): FilterTest | null {
  const sieve = compileFilterSieve(condition);
  if (sieve === null) return null;
  const block = new Uint32Array(1);
  return (stream, filter) => {
    block[0] = 0;
    return sieve.keep(new FilterSet(filter, [0, filter.length]), block, 1, stream) === 1;
  };
}
