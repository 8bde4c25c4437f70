/**
 * Marks the grams of many lines, sixteen places at a time: a WebAssembly function of 128-bit vectors, half as long under way
 * as the same in JavaScript (`text-bits.ts`, which says what grams are and does without where there are no vectors).
 *
 * The function is small and nothing but a straight loop, so its instructions are written down here one by one:
 *
 *     mark(from, end):  do {
 *       grams[k]  = the vector at from + k, folded                                      k = 0 … 3
 *       products  = grams[k] × multiplier, 32 bits a lane
 *       for k = 0, 2, each lane:  text[product >>> textShift] = 1
 *       if any of the sixteen grams is of letters:
 *         for each k, each lane:  letters[is of letters ? product >>> letterShift : the byte before the first] = 1
 *       from += 16
 *     } while (from < end)
 *
 * Lanes of `grams[k]` are the grams at `from + k`, `from + k + 4`, `+ 8`, `+ 12`. Three bytes behind the last vector are read.
 */

export interface GramKernel {
  /** A byte for each hash of a gram, and of one of letters. */
  readonly text: Uint8Array<ArrayBuffer>;
  readonly letters: Uint8Array<ArrayBuffer>;
  /** `KERNEL_STRIDE` bytes are left behind a chunk of lines. */
  readonly chunk: Uint8Array<ArrayBuffer>;
  /** Marks the grams that begin in the first `bytes` of `chunk`: a multiple of `KERNEL_STRIDE`, not 0. */
  mark(bytes: number): void;
}

export interface GramHashes {
  readonly fold: number;
  readonly multiplier: number;
  readonly textBits: number;
  readonly letterBits: number;
}

/** What is used of it here: the types of Node leave it to those of browsers. */
declare const WebAssembly: {
  validate(code: Uint8Array): boolean;
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
};

/** How many places one turn of the loop looks at. */
export const KERNEL_STRIDE = 16;

const PAGE_BYTES = 65536;
/** Between the marks: the byte before those of letters takes what is marked for grams that are none. */
const GAP_BYTES = 64;

/** Null where the processor has no such vectors, or the system no address space for WebAssembly (it wants gigabytes). */
export function newGramKernel(hashes: GramHashes, chunkBytes: number): GramKernel | null {
  const code = moduleOf(functionOf(hashes), 1);
  if (!WebAssembly.validate(code)) return null;
  const lettersAt = (1 << hashes.textBits) + GAP_BYTES;
  const chunkAt = lettersAt + (1 << hashes.letterBits);
  const pages = Math.ceil((chunkAt + chunkBytes + KERNEL_STRIDE) / PAGE_BYTES);
  let memory: { readonly buffer: ArrayBuffer };
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error: unknown) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  const mark = exports['mark'] as (from: number, end: number) => void;
  const { buffer } = memory;
  return {
    text: new Uint8Array(buffer, 0, 1 << hashes.textBits),
    letters: new Uint8Array(buffer, lettersAt, 1 << hashes.letterBits),
    chunk: new Uint8Array(buffer, chunkAt, chunkBytes + KERNEL_STRIDE),
    mark: (bytes) => mark(chunkAt, chunkAt + bytes),
  };
}

type Code = readonly number[];

/** LEB128, of whole numbers from 0 on and of signed ones of 32 bits. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

function signed(value: number): Code {
  const bytes: number[] = [];
  for (; value < -64 || value > 63; value >>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value & 0x7f];
}

// Numbers of types and instructions are those of the specification, https://webassembly.github.io/spec/core/binary/
const I32 = 0x7f;
const V128 = 0x7b;
const NO_RESULT = 0x40;

const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const tee = (local: number): Code => [0x22, local];
const int = (value: number): Code => [0x41, ...signed(value | 0)];
const storeByte = (offset: number): Code => [0x3a, 0, ...unsigned(offset)];
const loop: Code = [0x03, NO_RESULT];
const ifTrue: Code = [0x04, NO_RESULT];
const end: Code = [0x0b];
const branchIf: Code = [0x0d, 0];
const isLess: Code = [0x49]; // unsigned
const add: Code = [0x6a];

const vector = (instruction: number, ...rest: Code): Code => [0xfd, ...unsigned(instruction), ...rest];
const loadVector = (offset: number): Code => vector(0, 0, ...unsigned(offset));
const lane = (number: number): Code => vector(0x1b, number);
const inEachByte = vector(0x0f);
const inEachLane = vector(0x11);
const bytesLess = vector(0x26); // unsigned
const lanesEqual = vector(0x37);
const and = vector(0x4e);
const or = vector(0x50);
const anyTrue = vector(0x53);
const subtractBytes = vector(0x71);
const shiftRight = vector(0xad); // without sign
const subtractLanes = vector(0xb1);
const multiply = vector(0xb5);

/** The body of `mark`. */
function functionOf({ fold, multiplier, textBits, letterBits }: GramHashes): Code {
  const [from, to, hashes, folds, factors, grams, letters] = [0, 1, 2, 3, 4, 5, 9] as const;
  const places = [0, 1, 2, 3];
  const locals: Code = [1, ...unsigned(11), V128]; // grams and letters have one for each place
  const beforeLetters = (1 << textBits) + GAP_BYTES - 1;
  const markLanes = (at: number): Code =>
    places.flatMap((l) => [...get(hashes), ...lane(l), ...int(1), ...storeByte(at)]);
  const isLetter: Code = [...int(0x61), ...inEachByte, ...subtractBytes, ...int(26), ...inEachByte, ...bytesLess];
  const markText = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...multiply, ...int(32 - textBits), ...shiftRight, ...set(hashes)],
    ...markLanes(0),
  ];
  const markLetters = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...multiply, ...int(32 - letterBits), ...shiftRight],
    // A lane of letters is -1, and its hash goes up by one; all others become 0.
    ...[...get(letters + k), ...subtractLanes, ...get(letters + k), ...and, ...set(hashes)],
    ...markLanes(beforeLetters),
  ];
  return [
    ...locals,
    ...[...int(fold), ...inEachLane, ...set(folds), ...int(multiplier), ...inEachLane, ...set(factors)],
    ...loop,
    ...places.flatMap((k) => [...get(from), ...loadVector(k), ...get(folds), ...or, ...set(grams + k)]),
    ...[0, 2].flatMap(markText),
    ...places.flatMap((k) => [
      ...[...get(grams + k), ...isLetter, ...int(-1), ...inEachLane, ...lanesEqual, ...set(letters + k)],
    ]),
    ...places.flatMap((k) => [...get(letters + k), ...(k > 0 ? or : [])]),
    ...[...anyTrue, ...ifTrue, ...places.flatMap(markLetters), ...end],
    ...[...get(from), ...int(KERNEL_STRIDE), ...add, ...tee(from), ...get(to), ...isLess, ...branchIf, ...end],
    ...end,
  ];
}

/** A module that imports `env.memory` of at least so many pages, and exports the function as `mark`. */
function moduleOf(body: Code, pages: number): Uint8Array<ArrayBuffer> {
  const withLength = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];
  const name = (text: string): Code => withLength([...Buffer.from(text)]);
  const section = (id: number, item: Code): Code => [id, ...withLength([1, ...item])]; // each of one item
  return Uint8Array.from([
    ...[...Buffer.from('\0asm'), 1, 0, 0, 0],
    ...section(1, [0x60, 2, I32, I32, 0]),
    ...section(2, [...name('env'), ...name('memory'), 2, 0, ...unsigned(pages)]),
    ...section(3, [0]),
    ...section(7, [...name('mark'), 0, 0]),
    ...section(10, withLength(body)),
  ]);
}
