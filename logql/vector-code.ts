/**
 * Writes small WebAssembly modules by hand, for loops over 128-bit vectors, which JavaScript has not. Functions are lists of
 * bytes that are spread one behind the other; instructions have the names of the specification and their operands as arguments:
 * `[...local.get(0), ...v128.load(16), ...i8x16.bitmask]`.
 *
 * https://webassembly.github.io/spec/core/binary/ says which byte is what. Alignment is a hint only, and 0 throughout.
 */

export type Code = readonly number[];

/** What is used of the global of that name; TypeScript knows it as a part of browsers only. */
export interface WebAssemblyApi {
  validate(module: Uint8Array): boolean;
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum?: number;
  }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** What pages of memory have. */
export const PAGE_BYTES = 65_536;

/** Undefined where V8 makes no code (`node --jitless`). */
export function webAssembly(): WebAssemblyApi | undefined {
  return (globalThis as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;
}

/** LEB128 of a whole number from 0 to 2^32 - 1. */
export function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (; value >= 0x80; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** LEB128 of a number of 32 bits, of which the highest is the sign. */
export function signed(value: number): Code {
  const bytes: number[] = [];
  let left = value | 0;
  for (; left < -64 || left > 63; left >>= 7) bytes.push((left & 0x7f) | 0x80);
  return [...bytes, left & 0x7f];
}

export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
const NO_RESULT = 0x40;

/** Blocks end with `end`, as a function does; branches name how many blocks they leave beyond the innermost. */
export const control = {
  block: [0x02, NO_RESULT],
  loop: [0x03, NO_RESULT],
  if: [0x04, NO_RESULT],
  end: [0x0b],
  br: (depth: number): Code => [0x0c, ...unsigned(depth)],
  brIf: (depth: number): Code => [0x0d, ...unsigned(depth)],
  return: [0x0f],
} as const;

export const local = {
  get: (index: number): Code => [0x20, ...unsigned(index)],
  set: (index: number): Code => [0x21, ...unsigned(index)],
  tee: (index: number): Code => [0x22, ...unsigned(index)],
} as const;

const atOffset = (instruction: Code, offset: number): Code => [...instruction, 0, ...unsigned(offset)];

export const i32 = {
  load: (offset: number): Code => atOffset([0x28], offset),
  load8u: (offset: number): Code => atOffset([0x2d], offset),
  store8: (offset: number): Code => atOffset([0x3a], offset),
  store16: (offset: number): Code => atOffset([0x3b], offset),
  const: (value: number): Code => [0x41, ...signed(value)],
  eqz: [0x45],
  eq: [0x46],
  ltU: [0x49],
  gtS: [0x4a],
  ctz: [0x68],
  popcnt: [0x69],
  add: [0x6a],
  sub: [0x6b],
  mul: [0x6c],
  and: [0x71],
  or: [0x72],
  shl: [0x74],
  shrU: [0x76],
  wrapI64: [0xa7],
} as const;

export const i64 = {
  load: (offset: number): Code => atOffset([0x29], offset),
  const: (value: number): Code => [0x42, ...signed(value)],
  eqz: [0x50],
  ctz: [0x7a],
  sub: [0x7d],
  and: [0x83],
} as const;

const vector = (instruction: number): Code => [0xfd, ...unsigned(instruction)];

export const v128 = {
  load: (offset: number): Code => atOffset(vector(0x00), offset),
  store: (offset: number): Code => atOffset(vector(0x0b), offset),
  and: vector(0x4e),
  or: vector(0x50),
  anyTrue: vector(0x53),
} as const;

export const i8x16 = {
  splat: vector(0x0f),
  eq: vector(0x23),
  ltU: vector(0x26),
  neg: vector(0x61),
  bitmask: vector(0x64),
  sub: vector(0x71),
} as const;

export const i32x4 = {
  splat: vector(0x11),
  extractLane: (lane: number): Code => [...vector(0x1b), lane],
  eq: vector(0x37),
  shrU: vector(0xad),
  sub: vector(0xb1),
  mul: vector(0xb5),
} as const;

export interface ModuleFunction {
  readonly name: string;
  /** How many; all of them are i32. */
  readonly parameters: number;
  readonly results: readonly (typeof I32)[];
  /** Behind the parameters. */
  readonly locals: readonly (readonly [count: number, type: typeof I32 | typeof I64 | typeof V128])[];
  /** Ends with `control.end`. */
  readonly body: Code;
}

/** A module that exports the functions, and imports memory of at least so many pages: `{ env: { memory } }`. */
export function moduleOf(pages: number, functions: readonly ModuleFunction[]): Uint8Array<ArrayBuffer> {
  const indexed = functions.map(({ name }, index) => ({ name, index }));
  return Uint8Array.from([
    ...[...Buffer.from('\0asm'), 1, 0, 0, 0],
    ...section(1, functions.map(typeOf)),
    ...section(2, [[...nameOf('env'), ...nameOf('memory'), 0x02, 0x00, ...unsigned(pages)]]),
    // Each function has a type of its own.
    ...section(
      3,
      indexed.map(({ index }) => unsigned(index)),
    ),
    ...section(
      7,
      indexed.map(({ name, index }) => [...nameOf(name), 0x00, ...unsigned(index)]),
    ),
    ...section(10, functions.map(codeOf)),
  ]);
}

function typeOf({ parameters, results }: ModuleFunction): Code {
  return [0x60, ...vectorOf(new Array<Code>(parameters).fill([I32])), ...vectorOf(results.map((type) => [type]))];
}

function codeOf({ locals, body }: ModuleFunction): Code {
  return withLength([...vectorOf(locals.map(([count, type]) => [...unsigned(count), type])), ...body]);
}

function section(id: number, items: readonly Code[]): Code {
  return [id, ...withLength(vectorOf(items))];
}

function nameOf(text: string): Code {
  return withLength([...Buffer.from(text)]);
}

function vectorOf(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()];
}

function withLength(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}
