/**
 * Memory that is searched for texts by 16 bytes at a time. `Buffer.indexOf` stops at each byte that is like the first one
 * of its needle: for digits, every 25 bytes, it gave 2 GB/s, a third of a query for `5432`. Here two bytes of the needle
 * are compared at once wherever it might begin, with instructions that JavaScript has not and WebAssembly has: 8 GB/s and
 * more, whatever the bytes are, and a hit costs a call that is five times as cheap.
 *
 * WebAssembly sees its own memory only, so what is to be searched has to be put there in the first place.
 */

/** Beyond what is handed out: the search reads up to so many bytes behind the last one that it looks at. */
const SLACK_BYTES = 128;
const PAGE_BYTES = 65_536;

/**
 * The first place from `from` to `last`, both included, where the four bytes, little-endian and under `mask`, are `word`; -1
 * for none. `first` is the lowest byte of `word`, and `second` the one `distance` bytes behind it.
 */
export type FindWord = (
  from: number,
  last: number,
  first: number,
  second: number,
  distance: number,
  word: number,
  mask: number,
) => number;

/** What is used of the global of that name; TypeScript knows it as a part of browsers only. */
interface WebAssemblyApi {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
}

const searches = new WeakMap<ArrayBufferLike, FindWord>();

/** Memory of at least so many bytes: such as can be searched, where the platform lets us have it. */
export function searchableMemory(bytes: number): ArrayBuffer {
  const { WebAssembly: api } = globalThis as { readonly WebAssembly?: WebAssemblyApi };
  if (api === undefined) return new ArrayBuffer(bytes); // node --jitless
  try {
    const memory = new api.Memory({ initial: Math.ceil((bytes + SLACK_BYTES) / PAGE_BYTES) });
    compiled ??= new api.Module(Uint8Array.from(moduleBytes()));
    const { exports } = new api.Instance(compiled, { '': { '': memory } });
    searches.set(memory.buffer, exports['find'] as FindWord);
    return memory.buffer;
  } catch (error: unknown) {
    // Each memory takes gigabytes of addresses, which are not to be had under `ulimit -v`.
    if (!(error instanceof RangeError)) throw error;
    return new ArrayBuffer(bytes);
  }
}

/** What searches this memory; undefined for other memory than that of `searchableMemory`. */
export function searchOf(buffer: ArrayBufferLike): FindWord | undefined {
  return searches.get(buffer);
}

let compiled: object | null = null;

// The module, as https://webassembly.github.io/spec/core/binary/ has it. Numbers below 64 are one byte each.

const I32 = 0x7f;
const V128 = 0x7b;

const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const IF = [0x04, 0x40];
const END = [0x0b];
const RETURN = [0x0f];
const br = (depth: number) => [0x0c, depth];
const brIf = (depth: number) => [0x0d, depth];
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const tee = (local: number) => [0x22, local];
const i32 = (value: number) => [0x41, value];
const MINUS_ONE = [0x41, 0x7f];
const I32_LOAD = [0x28, 0, 0];
const I32_EQ = [0x46];
const I32_EQZ = [0x45];
const I32_GT_S = [0x4a];
const I32_CTZ = [0x68];
const I32_ADD = [0x6a];
const I32_SUB = [0x6b];
const I32_AND = [0x71];
const V128_AND = [0xfd, 0x4e];
const V128_OR = [0xfd, 0x50];
const ANY_TRUE = [0xfd, 0x53];
const I8X16_SPLAT = [0xfd, 0x0f];
const I8X16_EQ = [0xfd, 0x23];
const I8X16_BITMASK = [0xfd, 0x64];
const v128Load = (offset: number) => [0xfd, 0x00, 0, offset];

// Parameters, then locals.
const FROM = 0;
const LAST = 1;
const FIRST = 2;
const SECOND = 3;
const DISTANCE = 4;
const WORD = 5;
const MASK = 6;
const BITS = 7;
const AT = 8;
const FIRSTS = 9;
const SECONDS = 10;
/** FROM + DISTANCE, while the local serves for nothing else. */
const BEHIND = AT;

/** Which of the 16 places from `FROM + offset` on have both bytes. */
const both = (offset: number) => [
  ...get(FROM),
  ...v128Load(offset),
  ...get(FIRSTS),
  ...I8X16_EQ,
  ...get(BEHIND),
  ...v128Load(offset),
  ...get(SECONDS),
  ...I8X16_EQ,
  ...V128_AND,
];
const stepBehind = [...get(FROM), ...get(DISTANCE), ...I32_ADD, ...set(BEHIND)];
const advance = (bytes: number) => [...get(FROM), ...i32(bytes), ...I32_ADD, ...set(FROM)];

function bodyOfFind(): number[] {
  const body = [
    ...[...get(FIRST), ...I8X16_SPLAT, ...set(FIRSTS)],
    ...[...get(SECOND), ...I8X16_SPLAT, ...set(SECONDS)],
    ...BLOCK, // until nothing is left
    ...LOOP,
    ...[...get(FROM), ...get(LAST), ...I32_GT_S, ...brIf(1)],
    ...stepBehind,
    // 48 bytes at once, as long as there is nothing. (64 would be a number of two bytes.)
    ...[...both(0), ...both(16), ...V128_OR, ...both(32), ...V128_OR, ...ANY_TRUE, ...I32_EQZ],
    ...IF,
    ...advance(48),
    ...br(1), // the loop
    ...END,
    // Each of the 16 places in which both bytes are: is the rest there, too?
    ...[...both(0), ...I8X16_BITMASK, ...tee(BITS)],
    ...IF,
    ...LOOP,
    ...[...get(FROM), ...get(BITS), ...I32_CTZ, ...I32_ADD, ...tee(AT), ...get(LAST), ...I32_GT_S, ...brIf(3)],
    ...[...get(AT), ...I32_LOAD, ...get(MASK), ...I32_AND, ...get(WORD), ...I32_EQ],
    ...IF,
    ...get(AT),
    ...RETURN,
    ...END,
    ...[...get(BITS), ...get(BITS), ...i32(1), ...I32_SUB, ...I32_AND, ...tee(BITS), ...brIf(0)],
    ...END,
    ...END,
    ...advance(16),
    ...br(0),
    ...END,
    ...END,
    ...MINUS_ONE,
    ...END,
  ];
  const locals = [2, 2, I32, 2, V128];
  return [...leb(locals.length + body.length), ...locals, ...body];
}

function moduleBytes(): number[] {
  const code = bodyOfFind();
  return [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 7, I32, I32, I32, I32, I32, I32, I32, 1, I32]), // one type
    ...section(2, [1, 0, 0, 0x02, 0x00, 1]), // the memory, whose name is empty, of one page or more
    ...section(3, [1, 0]), // one function, of that type
    ...section(7, [1, 4, ...Buffer.from('find'), 0x00, 0]), // its name
    ...section(10, [1, ...code]),
  ];
}

function section(id: number, bytes: readonly number[]): number[] {
  return [id, ...leb(bytes.length), ...bytes];
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}
