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
import {
  type Code,
  control,
  I32,
  I64,
  i8x16,
  i32,
  i32x4,
  i64,
  local,
  type ModuleFunction,
  moduleOf,
  PAGE_BYTES,
  V128,
  v128,
  webAssembly,
} from '../../logql/vector-code.ts';

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

/** How many places one turn of the loop looks at. */
export const KERNEL_STRIDE = 16;

/** Between the marks: the byte before those of letters takes what is marked for grams that are none. */
const GAP_BYTES = 64;

/**
 * Null where V8 makes no code (`--jitless`), the processor has no such vectors, or the system no address space for
 * WebAssembly (it wants gigabytes).
 */
export function newGramKernel(hashes: GramHashes, chunkBytes: number): GramKernel | null {
  const api = webAssembly();
  if (api === undefined) return null;
  const lettersAt = (1 << hashes.textBits) + GAP_BYTES;
  const bitmapAt = lettersAt + (1 << hashes.letterBits);
  const bitmapBytes = 1 << (hashes.textBits - 3);
  const outputAt = bitmapAt + bitmapBytes;
  const chunkAt = outputAt + bitmapBytes;
  const pages = Math.ceil((chunkAt + chunkBytes + KERNEL_STRIDE) / PAGE_BYTES);
  const code = moduleOf(pages, [markFunction(hashes), collectFunction(), spreadFunction(bitmapAt, outputAt)]);
  if (!api.validate(code)) return null;
  let memory: { readonly buffer: ArrayBuffer };
  try {
    memory = new api.Memory({ initial: pages, maximum: pages });
  } catch (error: unknown) {
    if (error instanceof RangeError) return null;
    throw error;
  }
  const { exports } = new api.Instance(new api.Module(code), { env: { memory } });
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

const { get, set, tee } = local;
const { loop, end, brIf } = control;

function markFunction({ fold, multiplier, textBits, letterBits }: GramHashes): ModuleFunction {
  // `grams` and `letters` are the first of four, one for each place.
  const [from, to, hashes, folds, factors, grams, letters] = [0, 1, 2, 3, 4, 5, 9] as const;
  const places = [0, 1, 2, 3];
  const beforeLetters = (1 << textBits) + GAP_BYTES - 1;
  const markLanes = (at: number): Code =>
    places.flatMap((l) => [...get(hashes), ...i32x4.extractLane(l), ...i32.const(1), ...i32.store8(at)]);
  const inEachByte = (byte: number): Code => [...i32.const(byte), ...i8x16.splat];
  const isLetter: Code = [...inEachByte(0x61), ...i8x16.sub, ...inEachByte(26), ...i8x16.ltU];
  const markText = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...i32x4.mul, ...i32.const(32 - textBits), ...i32x4.shrU, ...set(hashes)],
    ...markLanes(0),
  ];
  const markLetters = (k: number): Code => [
    ...[...get(grams + k), ...get(factors), ...i32x4.mul, ...i32.const(32 - letterBits), ...i32x4.shrU],
    // A lane of letters is -1, and its hash goes up by one; all others become 0.
    ...[...get(letters + k), ...i32x4.sub, ...get(letters + k), ...v128.and, ...set(hashes)],
    ...markLanes(beforeLetters),
  ];
  const body = [
    ...[...i32.const(fold), ...i32x4.splat, ...set(folds), ...i32.const(multiplier), ...i32x4.splat, ...set(factors)],
    ...loop,
    ...places.flatMap((k) => [...get(from), ...v128.load(k), ...get(folds), ...v128.or, ...set(grams + k)]),
    ...[0, 2].flatMap(markText),
    ...places.flatMap((k) => [
      ...[...get(grams + k), ...isLetter, ...i32.const(-1), ...i32x4.splat, ...i32x4.eq, ...set(letters + k)],
    ]),
    ...places.flatMap((k) => [...get(letters + k), ...(k > 0 ? v128.or : [])]),
    ...[...v128.anyTrue, ...control.if, ...places.flatMap(markLetters), ...end],
    ...[...get(from), ...i32.const(KERNEL_STRIDE), ...i32.add, ...tee(from)],
    ...[...get(to), ...i32.ltU, ...brIf(0), ...end],
    ...end,
  ];
  return { name: 'mark', parameters: 2, results: [], locals: [[11, V128]], body };
}

function collectFunction(): ModuleFunction {
  const [from, to, output, count, ones] = [0, 1, 2, 3, 4] as const;
  const body = [
    ...loop,
    // A mark is 1; its negative has the highest bit set.
    ...[...get(from), ...v128.load(0), ...i8x16.neg, ...i8x16.bitmask, ...set(ones)],
    ...[...get(output), ...get(ones), ...i32.store16(0)],
    ...[...get(count), ...get(ones), ...i32.popcnt, ...i32.add, ...set(count)],
    ...[...get(from), ...i32.const(0), ...i8x16.splat, ...v128.store(0)],
    ...[...get(output), ...i32.const(KERNEL_STRIDE / 8), ...i32.add, ...set(output)],
    ...[...get(from), ...i32.const(KERNEL_STRIDE), ...i32.add, ...tee(from)],
    ...[...get(to), ...i32.ltU, ...brIf(0), ...end],
    ...[...get(count), ...end],
  ];
  return { name: 'collect', parameters: 3, results: [I32], locals: [[2, I32]], body };
}

function spreadFunction(bitmapAt: number, outputAt: number): ModuleFunction {
  const [bytes, shift, bits, at, bit, left] = [0, 1, 2, 3, 4, 5] as const;
  const body = [
    ...loop,
    ...[...get(at), ...i64.load(bitmapAt), ...tee(left), ...i64.eqz, ...i32.eqz, ...control.if, ...loop],
    // Of the lowest bit that is left: 8 × at + its place is the hash.
    ...[...get(at), ...i32.const(3), ...i32.shl, ...get(left), ...i64.ctz, ...i32.wrapI64, ...i32.add],
    ...[...get(bits), ...i32.mul, ...get(shift), ...i32.shrU, ...tee(bit), ...i32.const(3), ...i32.shrU],
    ...[...get(bit), ...i32.const(3), ...i32.shrU, ...i32.load8u(outputAt)],
    ...[...i32.const(1), ...get(bit), ...i32.const(7), ...i32.and, ...i32.shl, ...i32.or, ...i32.store8(outputAt)],
    ...[...get(left), ...get(left), ...i64.const(1), ...i64.sub, ...i64.and, ...tee(left)],
    ...[...i64.eqz, ...i32.eqz, ...brIf(0), ...end, ...end],
    ...[...get(at), ...i32.const(8), ...i32.add, ...tee(at), ...get(bytes), ...i32.ltU, ...brIf(0), ...end],
    ...end,
  ];
  return {
    name: 'spread',
    parameters: 3,
    results: [],
    locals: [
      [2, I32],
      [1, I64],
    ],
    body,
  };
}
