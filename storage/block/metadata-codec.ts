/**
 * One metadata label as a dictionary column.
 *
 *     metadata := u32 valueCount  u8 lengthWidth  u8 indexWidth
 *                 planes(valueCount lengths)  planes(rowCount indexes)  value*
 *
 * Index 0 is absence, index i the i-th value. With HEX_VALUES in `lengthWidth` all values are of digits 0 to 9 and a to f,
 * two of them in each stored byte (trace ids: zstd needs a tenth more for them); lengths are then those of the stored bytes.
 */
import type { MetadataColumn } from '../../logql/source.ts';
import type { ColumnMemory } from './column-memory.ts';
import { CorruptBlockError } from './corrupt-block-error.ts';
import type { RawMetadataColumn } from './metadata-columns.ts';
import { planeWidth, readPlanes, writePlanes } from './planes.ts';

const HEAD_BYTES = 6;
const MAX_WIDTH = 4;
const HEX_VALUES = 0x80;

export function encodeMetadataColumn(column: RawMetadataColumn): Uint8Array {
  const { valueCount, starts, ends, indexes } = column;
  const lengths = new Uint32Array(valueCount);
  let valueBytes = 0;
  for (let v = 0; v < valueCount; v++) {
    lengths[v] = ends[v]! - starts[v]!;
    valueBytes += lengths[v]!;
  }
  const hex = packedHex(column, valueBytes);
  if (hex !== null) for (let v = 0; v < valueCount; v++) lengths[v]! >>>= 1;
  const lengthWidth = planeWidth(lengths, valueCount);
  const indexWidth = planeWidth(indexes, indexes.length);
  const valuesAt = HEAD_BYTES + lengthWidth * valueCount + indexWidth * indexes.length;
  const out = Buffer.allocUnsafe(valuesAt + (hex === null ? valueBytes : hex.length));
  out.writeUInt32LE(valueCount, 0);
  out[4] = lengthWidth | (hex === null ? 0 : HEX_VALUES);
  out[5] = indexWidth;
  writePlanes(out, HEAD_BYTES, lengths, valueCount, lengthWidth);
  writePlanes(out, HEAD_BYTES + lengthWidth * valueCount, indexes, indexes.length, indexWidth);
  if (hex === null) copyValues(column, out, valuesAt);
  else out.set(hex, valuesAt);
  return out;
}

function copyValues({ valueCount, starts, ends, source }: RawMetadataColumn, out: Uint8Array, at: number): void {
  for (let v = 0; v < valueCount; v++) {
    const end = ends[v]!;
    for (let from = starts[v]!; from < end; from++) out[at++] = source[from]!;
  }
}

/** What a lower-case hexadecimal digit stands for, NO_DIGIT for other bytes. */
const NO_DIGIT = 0x80;
const DIGITS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte));
  return digit < 0 ? NO_DIGIT : digit;
});

/** Two digits a byte; null unless every value is an even number of lower-case hexadecimal digits. */
function packedHex(column: RawMetadataColumn, valueBytes: number): Uint8Array | null {
  const { valueCount, starts, ends, source } = column;
  const digits = DIGITS;
  const packed = new Uint8Array(valueBytes >>> 1);
  let at = 0;
  for (let v = 0; v < valueCount; v++) {
    const start = starts[v]!;
    const end = ends[v]!;
    if (((end - start) & 1) !== 0) return null;
    let all = 0;
    for (let from = start; from < end; from += 2) {
      const high = digits[source[from]!]!;
      const low = digits[source[from + 1]!]!;
      all |= high | low;
      packed[at++] = (high << 4) | low;
    }
    if (all >= NO_DIGIT) return null;
  }
  return packed;
}

/** Values as text: bytes that are not UTF-8 come out as U+FFFD. `position` is where the column lies, for errors. */
export function decodeMetadataColumn(
  name: string,
  raw: Buffer,
  rowCount: number,
  position: number,
  memory: ColumnMemory,
): MetadataColumn {
  if (raw.length < HEAD_BYTES) throw new CorruptBlockError('metadata cut short', position);
  const valueCount = raw.readUInt32LE(0);
  const lengthWidth = raw[4]! & ~HEX_VALUES;
  const text = (raw[4]! & HEX_VALUES) === 0 ? 'utf8' : 'hex';
  const indexWidth = raw[5]!;
  if (valueCount > rowCount || lengthWidth > MAX_WIDTH || indexWidth > MAX_WIDTH) {
    throw new CorruptBlockError('metadata of no known form', position);
  }
  const valuesAt = HEAD_BYTES + lengthWidth * valueCount + indexWidth * rowCount;
  if (valuesAt > raw.length) throw new CorruptBlockError('metadata cut short', position);
  const lengths = memory.words(valueCount);
  readPlanes(raw, HEAD_BYTES, lengths, valueCount, lengthWidth);
  const indexes = memory.words(rowCount);
  readPlanes(raw, HEAD_BYTES + lengthWidth * valueCount, indexes, rowCount, indexWidth);
  let maxIndex = 0;
  for (let r = 0; r < rowCount; r++) if (indexes[r]! > maxIndex) maxIndex = indexes[r]!;
  if (maxIndex > valueCount) throw new CorruptBlockError('metadata names a value that is not there', position);
  let at = valuesAt;
  for (let v = 0; v < valueCount; v++) {
    at += lengths[v]!;
    lengths[v] = at - valuesAt;
  }
  if (at > raw.length) throw new CorruptBlockError('metadata values cut short', position);
  if (at !== raw.length) throw new CorruptBlockError('metadata longer than its values', position);
  return new DecodedColumn(name, indexes, raw.subarray(valuesAt), lengths, text);
}

/** Makes its values when they are asked for: most blocks of a query with filters have no row that is shown, or few. */
class DecodedColumn implements MetadataColumn {
  readonly name: string;
  readonly indexes: Uint32Array;
  readonly #bytes: Buffer;
  /** Where value v + 1 ends in `#bytes`. */
  readonly #ends: Uint32Array;
  readonly #text: 'utf8' | 'hex';
  /** Those that somebody has asked for, by index. */
  #values: (string | undefined)[] | null = null;
  #all: readonly string[] | null = null;

  constructor(name: string, indexes: Uint32Array, bytes: Buffer, ends: Uint32Array, text: 'utf8' | 'hex') {
    this.name = name;
    this.indexes = indexes;
    this.#bytes = bytes;
    this.#ends = ends;
    this.#text = text;
  }

  mayHave(value: string): boolean {
    if (this.#text === 'hex') {
      return /^(?:[0-9a-f]{2})+$/.test(value) && this.#bytes.includes(Buffer.from(value, 'hex'));
    }
    // Bytes that are not UTF-8 read as U+FFFD.
    return value.includes('\ufffd') || this.#bytes.includes(Buffer.from(value, 'utf8'));
  }

  valueAt(index: number): string {
    if (index === 0) return '';
    this.#values ??= new Array(this.#ends.length + 1);
    return (this.#values[index] ??= this.#bytes.toString(
      this.#text,
      index === 1 ? 0 : this.#ends[index - 2]!,
      this.#ends[index - 1]!,
    ));
  }

  get values(): readonly string[] {
    this.#all ??= Array.from({ length: this.#ends.length + 1 }, (_, index) => this.valueAt(index));
    return this.#all;
  }
}
