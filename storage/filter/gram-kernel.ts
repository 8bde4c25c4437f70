/**
 * Marks the grams of many lines, sixteen places at a time: a WebAssembly function of 128-bit vectors, half as long under way
 * as the same in JavaScript (`gram-marker.ts`, which does without where there are no vectors; `text-bits.ts` says what grams are).
 *
 * The functions are small and little but straight loops, so their instructions are written down here one by one:
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
 *
 *     collect(from, end, to):  for each sixteen marks, one bit each goes to `to`, and the marks become 0; returns how many there were
 *     spread(bytes, shift, bits):  for each bit h of the first `bytes` that were collected, bit (h × bits) >>> shift of the output = 1
 */

export interface GramKernel {
  /** A byte for each hash of a gram, and of one of letters. */
  readonly text: Uint8Array<ArrayBuffer>;
  readonly letters: Uint8Array<ArrayBuffer>;
  /** `KERNEL_STRIDE` bytes are left behind a chunk of lines. */
  readonly chunk: Uint8Array<ArrayBuffer>;
  /** Marks the grams that begin in the first `bytes` of `chunk`: a multiple of `KERNEL_STRIDE`, not 0. */
  mark(bytes: number): void;
  /** Takes `text` or `letters` away, and returns how many marks there were. */
  collect(marks: Uint8Array): number;
  /** What was collected last, with hashes scaled to `bits`: a multiple of 8, at most as many as there were hashes. */
  spread(hashBits: number, bits: number): Uint8Array;
}

export interface GramHashes {
  readonly fold: number;
  readonly multiplier: number;
  readonly textBits: number;
  readonly letterBits: number;
}

/** What is used of it here: the types of Node leave it to those of browsers. */
declare const WebAssembly: WasmInterface | undefined;

interface WasmInterface {
  validate(code: Uint8Array): boolean;
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
}

/** How many places one turn of the loop looks at. */
export const KERNEL_STRIDE = 16;

const PAGE_BYTES = 65536;
/** Between the marks: the byte before those of letters takes what is marked for grams that are none. */
const GAP_BYTES = 64;

/**
 * Null where V8 makes no code (`--jitless`), the processor has no such vectors, or the system no address space for
 * WebAssembly (it wants gigabytes).
 */
export function newGramKernel(hashes: GramHashes, chunkBytes: number): GramKernel | null {
  if (typeof WebAssembly === 'undefined') return null;
  const lettersAt = (1 << hashes.textBits) + GAP_BYTES;
  const bitmapAt = lettersAt + (1 << hashes.letterBits);
  const bitmapBytes = 1 << (hashes.textBits - 3);
  const outputAt = bitmapAt + bitmapBytes;
  const chunkAt = outputAt + bitmapBytes;
  const pages = Math.ceil((chunkAt + chunkBytes + KERNEL_STRIDE) / PAGE_BYTES);
  const code = moduleOf(pages, [
    { name: 'mark', parameters: 2, results: [], body: markBody(hashes) },
    { name: 'collect', parameters: 3, results: [I32], body: collectBody() },
    { name: 'spread', parameters: 3, results: [], body: spreadBody(bitmapAt, outputAt) },
  ]);
  if (!WebAssembly.validate(code)) return null;
  let memory: { readonly buffer: ArrayBuffer };
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  } catch (error: unknown) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  const mark = exports['mark'] as (from: number, end: number) => void;
  const collect = exports['collect'] as (from: number, end: number, to: number) => number;
  const spread = exports['spread'] as (bytes: number, shift: number, bits: number) => void;
  const { buffer } = memory;
  const output = new Uint8Array(buffer, outputAt, bitmapBytes);
  return {
    text: new Uint8Array(buffer, 0, 1 << hashes.textBits),
    letters: new Uint8Array(buffer, lettersAt, 1 << hashes.letterBits),
    chunk: new Uint8Array(buffer, chunkAt, chunkBytes + KERNEL_STRIDE),
    mark: (bytes) => mark(chunkAt, chunkAt + bytes),
    collect: ({ byteOffset, length }) => collect(byteOffset, byteOffset + length, bitmapAt),
    spread: (hashBits, bits) => {
      output.fill(0, 0, bits / 8);
      spread(1 << (hashBits - 3), hashBits, bits);
      return output.slice(0, bits / 8);
    },
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
const I64 = 0x7e;
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
const countOnes: Code = [0x69];
const add: Code = [0x6a];
const multiply: Code = [0x6c];
const and: Code = [0x71];
const or: Code = [0x72];
const shiftLeft: Code = [0x74];
const shiftRight: Code = [0x76]; // without sign
const loadByte = (offset: number): Code => [0x2d, 0, ...unsigned(offset)];
const storePair = (offset: number): Code => [0x3b, 0, ...unsigned(offset)]; // of bytes

const loadLong = (offset: number): Code => [0x29, 0, ...unsigned(offset)];
const one64: Code = [0x42, 1];
const isZero64: Code = [0x50];
const trailingZeros64: Code = [0x7a];
const subtract64: Code = [0x7d];
const and64: Code = [0x83];
const low32: Code = [0xa7];
const not: Code = [0x45];

const vector = (instruction: number, ...rest: Code): Code => [0xfd, ...unsigned(instruction), ...rest];
const loadVector = (offset: number): Code => vector(0, 0, ...unsigned(offset));
const storeVector: Code = vector(0x0b, 0, 0);
const lane = (number: number): Code => vector(0x1b, number);
const inEachByte = vector(0x0f);
const inEachLane = vector(0x11);
const bytesLess = vector(0x26); // unsigned
const lanesEqual = vector(0x37);
const andVectors = vector(0x4e);
const orVectors = vector(0x50);
const anyTrue = vector(0x53);
const negateBytes = vector(0x61);
const highBits = vector(0x64); // of each byte
const subtractBytes = vector(0x71);
const shiftLanes = vector(0xad); // to the right, without sign
const subtractLanes = vector(0xb1);
const multiplyLanes = vector(0xb5);

function markBody({ fold, multiplier, textBits, letterBits }: GramHashes): Code {
  const [from, to, hashes, folds, factors, grams, letters] = [0, 1, 2, 3, 4, 5, 9] as const;
  const places = [0, 1, 2, 3];
  const locals: Code = [1, ...unsigned(11), V128]; // grams and letters have one for each place
  const beforeLetters = (1 << textBits) + GAP_BYTES - 1;
  const markLanes = (at: number): Code =>
    places.flatMap((l) => [...get(hashes), ...lane(l), ...int(1), ...storeByte(at)]);
  const isLetter: Code = [...int(0x61), ...inEachByte, ...subtractBytes, ...int(26), ...inEachByte, ...bytesLess];
  const markText = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...multiplyLanes, ...int(32 - textBits), ...shiftLanes, ...set(hashes)],
    ...markLanes(0),
  ];
  const markLetters = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...multiplyLanes, ...int(32 - letterBits), ...shiftLanes],
    // A lane of letters is -1, and its hash goes up by one; all others become 0.
    ...[...get(letters + k), ...subtractLanes, ...get(letters + k), ...andVectors, ...set(hashes)],
    ...markLanes(beforeLetters),
  ];
  return [
    ...locals,
    ...[...int(fold), ...inEachLane, ...set(folds), ...int(multiplier), ...inEachLane, ...set(factors)],
    ...loop,
    ...places.flatMap((k) => [...get(from), ...loadVector(k), ...get(folds), ...orVectors, ...set(grams + k)]),
    ...[0, 2].flatMap(markText),
    ...places.flatMap((k) => [
      ...[...get(grams + k), ...isLetter, ...int(-1), ...inEachLane, ...lanesEqual, ...set(letters + k)],
    ]),
    ...places.flatMap((k) => [...get(letters + k), ...(k > 0 ? orVectors : [])]),
    ...[...anyTrue, ...ifTrue, ...places.flatMap(markLetters), ...end],
    ...[...get(from), ...int(KERNEL_STRIDE), ...add, ...tee(from), ...get(to), ...isLess, ...branchIf, ...end],
    ...end,
  ];
}

function collectBody(): Code {
  const [from, to, output, count, ones] = [0, 1, 2, 3, 4] as const;
  return [
    ...[1, 2, I32],
    ...loop,
    // A mark is 1; its negative has the highest bit set.
    ...[...get(from), ...loadVector(0), ...negateBytes, ...highBits, ...set(ones)],
    ...[...get(output), ...get(ones), ...storePair(0)],
    ...[...get(count), ...get(ones), ...countOnes, ...add, ...set(count)],
    ...[...get(from), ...int(0), ...inEachByte, ...storeVector],
    ...[...get(output), ...int(KERNEL_STRIDE / 8), ...add, ...set(output)],
    ...[...get(from), ...int(KERNEL_STRIDE), ...add, ...tee(from), ...get(to), ...isLess, ...branchIf, ...end],
    ...[...get(count), ...end],
  ];
}

function spreadBody(bitmapAt: number, outputAt: number): Code {
  const [bytes, shift, bits, at, bit, left] = [0, 1, 2, 3, 4, 5] as const;
  return [
    ...[2, 2, I32, 1, I64],
    ...loop,
    ...[...get(at), ...loadLong(bitmapAt), ...tee(left), ...isZero64, ...not, ...ifTrue, ...loop],
    // Of the lowest bit that is left: 8 × at + its place is the hash.
    ...[...get(at), ...int(3), ...shiftLeft, ...get(left), ...trailingZeros64, ...low32, ...add],
    ...[...get(bits), ...multiply, ...get(shift), ...shiftRight, ...tee(bit), ...int(3), ...shiftRight],
    ...[...get(bit), ...int(3), ...shiftRight, ...loadByte(outputAt)],
    ...[...int(1), ...get(bit), ...int(7), ...and, ...shiftLeft, ...or, ...storeByte(outputAt)],
    ...[...get(left), ...get(left), ...one64, ...subtract64, ...and64, ...tee(left)],
    ...[...isZero64, ...not, ...branchIf, ...end, ...end],
    ...[...get(at), ...int(8), ...add, ...tee(at), ...get(bytes), ...isLess, ...branchIf, ...end],
    ...end,
  ];
}

interface ModuleFunction {
  readonly name: string;
  /** All of them are i32. */
  readonly parameters: number;
  readonly results: Code;
  /** Behind its parameters: the declaration of other locals, then the instructions. */
  readonly body: Code;
}

/** A module that imports `env.memory` of at least so many pages, and exports the functions. */
function moduleOf(pages: number, functions: readonly ModuleFunction[]): Uint8Array<ArrayBuffer> {
  const withLength = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];
  const name = (text: string): Code => withLength([...Buffer.from(text)]);
  const section = (id: number, items: readonly Code[]): Code => [
    ...[id, ...withLength([...unsigned(items.length), ...items.flat()])],
  ];
  const type = ({ parameters, results }: ModuleFunction): Code => [
    ...[0x60, ...withLength(new Array<number>(parameters).fill(I32)), ...withLength(results)],
  ];
  return Uint8Array.from([
    ...[...Buffer.from('\0asm'), 1, 0, 0, 0],
    ...section(1, functions.map(type)),
    ...section(2, [[...name('env'), ...name('memory'), 2, 0, ...unsigned(pages)]]),
    ...section(
      3,
      functions.map((_, f) => [f]),
    ),
    ...section(
      7,
      functions.map((f, i) => [...name(f.name), 0, i]),
    ),
    ...section(
      10,
      functions.map(({ body }) => withLength(body)),
    ),
  ]);
}
