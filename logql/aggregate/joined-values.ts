import { giveBack, roundLength, someUint32, takeBytes } from '../kept-memory.ts';
import { compareBytes, type HashedValues, hashOf } from '../value-table.ts';

/**
 * Values of several lists, each distinct one once. Very many come in lists, and each list is in the order of hashes: so they
 * are joined side by side, which takes a tenth of what looking each of them up in a table does.
 */
export class JoinedValues {
  /** By list, of each of its values the number here. */
  readonly numbers: readonly Uint32Array[];
  #bytes: Uint8Array;
  #run: Run;

  constructor(lists: readonly HashedValues[]) {
    const [first] = lists;
    this.#bytes = lists.length === 1 ? first!.bytes : joinBytes(lists);
    let from = 0;
    let joins: readonly Join[] = lists.map((list) => {
      const run = runOf(list, from);
      from += list.bytes.length;
      return { run, numbers: [upTo(list.lengths.length)] };
    });
    while (joins.length > 1) {
      const pairs: Join[] = [];
      for (let i = 0; i < joins.length; i += 2) {
        const other = joins[i + 1];
        pairs.push(other === undefined ? joins[i]! : join(this.#bytes, joins[i]!, other));
      }
      joins = pairs;
    }
    ({ run: this.#run, numbers: this.numbers } = joins[0] ?? { run: NO_RUN, numbers: [] });
  }

  /** Gives its memory to others: neither values nor numbers can be used any more. */
  release(): void {
    if (this.numbers.length > 1) giveBack(this.#bytes); // else those of the only list
    for (const numbers of this.numbers) giveBack(numbers);
    giveRunBack(this.#run);
    this.#bytes = NO_BYTES;
    this.#run = NO_RUN;
  }

  get length(): number {
    return this.#run.length;
  }

  at(number: number): string {
    const { starts, ends } = this.#run;
    const { buffer, byteOffset } = this.#bytes;
    const start = starts[number]!;
    return Buffer.from(buffer, byteOffset + start, ends[number]! - start).toString('latin1');
  }

  /** Orders values as `<` orders their strings. */
  compare(a: number, b: number): number {
    const { starts, ends } = this.#run;
    const bytes = this.#bytes;
    return compareBytes(bytes, starts[a]!, ends[a]!, bytes, starts[b]!, ends[b]!);
  }

  /** The number of a value, -1 if there is none. */
  find(text: string): number {
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.toString('latin1') !== text) return -1;
    const hash = hashOf(bytes, 0, bytes.length);
    const { length, starts, ends, hashes } = this.#run;
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (hashes[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    for (; low < length && hashes[low] === hash; low++) {
      if (compareBytes(this.#bytes, starts[low]!, ends[low]!, bytes, 0, bytes.length) === 0) return low;
    }
    return -1;
  }
}

/** Values of some lists in the order of `HashedValues`; their bytes stand where the lists had them. */
interface Run {
  readonly length: number;
  // As long, or longer.
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly hashes: Uint32Array;
  /** Not: they are those of a list, which is not ours. */
  readonly ownsHashes: boolean;
}

/** A run with, by list, of each of its values the number there. */
interface Join {
  readonly run: Run;
  readonly numbers: readonly Uint32Array[];
}

const NO_BYTES = new Uint8Array(0);
const NONE = new Uint32Array(0);
const NO_RUN: Run = { length: 0, starts: NONE, ends: NONE, hashes: NONE, ownsHashes: false };

function runOf({ lengths, hashes }: HashedValues, from: number): Run {
  const { length } = lengths;
  const starts = someUint32(length);
  const ends = someUint32(length);
  let at = from;
  for (let i = 0; i < length; i++) {
    starts[i] = at;
    at += lengths[i]!;
    ends[i] = at;
  }
  return { length, starts, ends, hashes, ownsHashes: false };
}

function joinBytes(lists: readonly HashedValues[]): Uint8Array {
  const bytes = takeBytes(roundLength(lists.reduce((sum, list) => sum + list.bytes.length, 0)));
  let end = 0;
  for (const list of lists) {
    bytes.set(list.bytes, end);
    end += list.bytes.length;
  }
  return bytes;
}

/** Both are used up. */
function join(bytes: Uint8Array, { run: a, numbers: ofA }: Join, { run: b, numbers: ofB }: Join): Join {
  const starts = someUint32(a.length + b.length);
  const ends = someUint32(a.length + b.length);
  const hashes = someUint32(a.length + b.length);
  const newOfA = someUint32(a.length);
  const newOfB = someUint32(b.length);
  let i = 0;
  let j = 0;
  let length = 0;
  while (i < a.length || j < b.length) {
    let order = i === a.length ? 1 : j === b.length ? -1 : a.hashes[i]! - b.hashes[j]!;
    if (order === 0) order = compareBytes(bytes, a.starts[i]!, a.ends[i]!, bytes, b.starts[j]!, b.ends[j]!);
    if (order <= 0) {
      starts[length] = a.starts[i]!;
      ends[length] = a.ends[i]!;
      hashes[length] = a.hashes[i]!;
      newOfA[i++] = length;
      if (order === 0) newOfB[j++] = length;
    } else {
      starts[length] = b.starts[j]!;
      ends[length] = b.ends[j]!;
      hashes[length] = b.hashes[j]!;
      newOfB[j++] = length;
    }
    length++;
  }
  for (const numbers of ofA) renumber(numbers, newOfA);
  for (const numbers of ofB) renumber(numbers, newOfB);
  for (const run of [a, b]) giveRunBack(run);
  giveBack(newOfA);
  giveBack(newOfB);
  return { run: { length, starts, ends, hashes, ownsHashes: true }, numbers: [...ofA, ...ofB] };
}

function giveRunBack({ starts, ends, hashes, ownsHashes }: Run): void {
  giveBack(starts);
  giveBack(ends);
  if (ownsHashes) giveBack(hashes);
}

function upTo(length: number): Uint32Array {
  const numbers = someUint32(length);
  for (let i = 0; i < length; i++) numbers[i] = i;
  return numbers;
}

function renumber(numbers: Uint32Array, next: Uint32Array): void {
  for (let i = 0; i < numbers.length; i++) numbers[i] = next[numbers[i]!]!;
}
