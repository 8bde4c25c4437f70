import { compareBytes, type HashedValues, hashOf } from '../value-table.ts';

/**
 * Values of several lists, each distinct one once. Very many come in lists, and each list is in the order of hashes: so they
 * are joined side by side, which takes a tenth of what looking each of them up in a table does.
 */
export class JoinedValues {
  /** By list, of each of its values the number here. */
  readonly numbers: readonly Uint32Array[];
  readonly #bytes: Uint8Array;
  readonly #run: Run;

  constructor(lists: readonly HashedValues[]) {
    const [first] = lists;
    this.#bytes = lists.length === 1 ? first!.bytes : joinBytes(lists);
    let from = 0;
    let runs = lists.map((list) => {
      const run = runOf(list, from);
      from += list.bytes.length;
      return run;
    });
    let numbers: readonly (readonly Uint32Array[])[] = runs.map(({ starts }) => [upTo(starts.length)]);
    while (runs.length > 1) {
      const joined: Run[] = [];
      const renumbered: Uint32Array[][] = [];
      for (let i = 0; i < runs.length; i += 2) {
        if (i + 1 === runs.length) {
          joined.push(runs[i]!);
          renumbered.push([...numbers[i]!]);
          continue;
        }
        const { run, a, b } = join(this.#bytes, runs[i]!, runs[i + 1]!);
        joined.push(run);
        renumbered.push([
          ...numbers[i]!.map((own) => through(own, a)),
          ...numbers[i + 1]!.map((own) => through(own, b)),
        ]);
      }
      runs = joined;
      numbers = renumbered;
    }
    this.numbers = numbers[0] ?? [];
    this.#run = runs[0] ?? { starts: NONE, ends: NONE, hashes: NONE };
  }

  get length(): number {
    return this.#run.starts.length;
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
    const { starts, ends, hashes } = this.#run;
    let low = 0;
    let high = hashes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (hashes[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    for (; hashes[low] === hash; low++) {
      if (compareBytes(this.#bytes, starts[low]!, ends[low]!, bytes, 0, bytes.length) === 0) return low;
    }
    return -1;
  }
}

const NONE = new Uint32Array(0);

/** Values of some lists in the order of `HashedValues`; their bytes stand where the lists had them. */
interface Run {
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly hashes: Uint32Array;
}

function runOf({ lengths, hashes }: HashedValues, from: number): Run {
  const starts = new Uint32Array(lengths.length);
  const ends = new Uint32Array(lengths.length);
  let at = from;
  for (let i = 0; i < lengths.length; i++) {
    starts[i] = at;
    at += lengths[i]!;
    ends[i] = at;
  }
  return { starts, ends, hashes };
}

function joinBytes(lists: readonly HashedValues[]): Uint8Array {
  const bytes = new Uint8Array(lists.reduce((sum, list) => sum + list.bytes.length, 0));
  let end = 0;
  for (const list of lists) {
    bytes.set(list.bytes, end);
    end += list.bytes.length;
  }
  return bytes;
}

/** With the number that each value of `a` and of `b` has in the new run. */
function join(bytes: Uint8Array, a: Run, b: Run): { run: Run; a: Uint32Array; b: Uint32Array } {
  const lengthA = a.hashes.length;
  const lengthB = b.hashes.length;
  const starts = new Uint32Array(lengthA + lengthB);
  const ends = new Uint32Array(lengthA + lengthB);
  const hashes = new Uint32Array(lengthA + lengthB);
  const numbersA = new Uint32Array(lengthA);
  const numbersB = new Uint32Array(lengthB);
  let i = 0;
  let j = 0;
  let length = 0;
  while (i < lengthA || j < lengthB) {
    let order = i === lengthA ? 1 : j === lengthB ? -1 : a.hashes[i]! - b.hashes[j]!;
    if (order === 0) order = compareBytes(bytes, a.starts[i]!, a.ends[i]!, bytes, b.starts[j]!, b.ends[j]!);
    if (order <= 0) {
      starts[length] = a.starts[i]!;
      ends[length] = a.ends[i]!;
      hashes[length] = a.hashes[i]!;
      numbersA[i++] = length;
      if (order === 0) numbersB[j++] = length;
    } else {
      starts[length] = b.starts[j]!;
      ends[length] = b.ends[j]!;
      hashes[length] = b.hashes[j]!;
      numbersB[j++] = length;
    }
    length++;
  }
  const run = {
    starts: starts.subarray(0, length),
    ends: ends.subarray(0, length),
    hashes: hashes.subarray(0, length),
  };
  return { run, a: numbersA, b: numbersB };
}

function upTo(length: number): Uint32Array {
  const numbers = new Uint32Array(length);
  for (let i = 0; i < length; i++) numbers[i] = i;
  return numbers;
}

function through(numbers: Uint32Array, next: Uint32Array): Uint32Array {
  for (let i = 0; i < numbers.length; i++) numbers[i] = next[numbers[i]!]!;
  return numbers;
}
