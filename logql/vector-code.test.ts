import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
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
  signed,
  unsigned,
  V128,
  v128,
  webAssembly,
} from './vector-code.ts';

const { get, set } = local;
const { end } = control;

/** The functions of a module, and the memory that they see. */
function run(functions: readonly ModuleFunction[], pages = 1): { memory: Buffer; call: Record<string, Compiled> } {
  const api = webAssembly();
  assert.ok(api !== undefined);
  const memory = new api.Memory({ initial: pages });
  const { exports } = new api.Instance(new api.Module(moduleOf(pages, functions)), { env: { memory } });
  return { memory: Buffer.from(memory.buffer), call: exports as Record<string, Compiled> };
}

type Compiled = (...parameters: number[]) => number;

describe('vector code', () => {
  it('writes whole numbers with 7 bits a byte, lowest first', () => {
    assert.deepEqual(unsigned(0), [0]);
    assert.deepEqual(unsigned(127), [0x7f]);
    assert.deepEqual(unsigned(128), [0x80, 0x01]);
    assert.deepEqual(unsigned(16_383), [0xff, 0x7f]);
    assert.deepEqual(unsigned(16_384), [0x80, 0x80, 0x01]);
    assert.deepEqual(unsigned(624_485), [0xe5, 0x8e, 0x26]); // the example of DWARF, from which LEB128 is
    assert.deepEqual(unsigned(2 ** 31), [0x80, 0x80, 0x80, 0x80, 0x08]);
    assert.deepEqual(unsigned(2 ** 32 - 1), [0xff, 0xff, 0xff, 0xff, 0x0f]);
  });

  it('writes signed numbers so that the highest bit of the last byte is their sign', () => {
    assert.deepEqual(signed(0), [0]);
    assert.deepEqual(signed(63), [0x3f]);
    assert.deepEqual(signed(64), [0xc0, 0x00]);
    assert.deepEqual(signed(-1), [0x7f]);
    assert.deepEqual(signed(-64), [0x40]);
    assert.deepEqual(signed(-65), [0xbf, 0x7f]);
    assert.deepEqual(signed(8191), [0xff, 0x3f]);
    assert.deepEqual(signed(8192), [0x80, 0xc0, 0x00]);
    assert.deepEqual(signed(-123_456), [0xc0, 0xbb, 0x78]); // DWARF's, too
    assert.deepEqual(signed(2 ** 31 - 1), [0xff, 0xff, 0xff, 0xff, 0x07]);
    assert.deepEqual(signed(-(2 ** 31)), [0x80, 0x80, 0x80, 0x80, 0x78]);
    assert.deepEqual(signed(2 ** 32 - 1), signed(-1));
  });

  it('makes modules whose constants and offsets are what was asked for, however long they are', () => {
    const constants = [0, 63, 64, -64, -65, 127, 128, 2 ** 21, 0x7fffffff, -0x80000000];
    const offsets = [0, 127, 128, 65_535, 65_536, 131_000];
    const { memory, call } = run(
      [
        ...constants.map((value) => ({ ...plain(`constant ${value}`, 0), body: [...i32.const(value), ...end] })),
        ...offsets.map((offset) => ({
          ...plain(`at ${offset}`, 0),
          body: [...i32.const(0), ...i32.load(offset), ...end],
        })),
      ],
      2,
    );
    for (const value of constants) assert.equal(call[`constant ${value}`]!(), value);
    for (const offset of offsets) {
      memory.writeInt32LE(-offset - 1, offset);
      assert.equal(call[`at ${offset}`]!(), -offset - 1);
    }
  });

  it('branches, counts in locals, and sees the same memory as JavaScript', () => {
    // How many of the 16 bytes at a place are less than a number, a bit at a time; each sum goes to the place behind.
    const [at, limit, bits, count] = [0, 1, 2, 3];
    const body = [
      ...[...get(at), ...v128.load(0), ...get(limit), ...i8x16.splat, ...i8x16.ltU, ...i8x16.bitmask, ...set(bits)],
      ...[...control.block, ...control.loop, ...get(bits), ...i32.eqz, ...control.brIf(1)],
      ...[...get(bits), ...get(bits), ...i32.const(1), ...i32.sub, ...i32.and, ...set(bits)],
      ...[...get(count), ...i32.const(1), ...i32.add, ...set(count), ...control.br(0), ...end, ...end],
      ...[...get(at), ...get(count), ...i32.store8(16), ...get(count), ...end],
    ];
    const { memory, call } = run([{ ...plain('count', 2), locals: [[2, I32]], body }]);
    memory.set([0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255, 7, 7, 7, 6], 100);
    assert.equal(call['count']!(100, 7), 7);
    assert.equal(memory[116], 7);
    assert.equal(call['count']!(100, 255), 15);
  });

  it('has locals of every type', () => {
    const body = [
      ...[...get(0), ...i64.load(0), ...set(1), ...get(0), ...v128.load(0), ...set(2)],
      ...[...get(1), ...i64.ctz, ...i32.wrapI64, ...get(2), ...i32x4.extractLane(3), ...i32.add, ...end],
    ];
    const locals = [
      [1, I64],
      [1, V128],
    ] as const;
    const { memory, call } = run([{ ...plain('add', 1), locals, body }]);
    memory.writeBigUInt64LE(2n ** 40n, 8);
    memory.writeInt32LE(-1000, 20);
    assert.equal(call['add']!(8), 40 - 1000);
  });
});

function plain(name: string, parameters: number): Omit<ModuleFunction, 'body'> {
  return { name, parameters, results: [I32], locals: [] };
}
