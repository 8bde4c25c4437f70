import { freshMemory } from '../column-memory.ts';
import { decompressColumn } from '../compress.ts';
import {
  type ColumnPlace,
  decodeBlockHeader,
  ENCODING_RAW,
  KIND_LENGTHS,
  KIND_LINES,
  KIND_METADATA,
  KIND_TIMESTAMPS,
} from '../format.ts';
import { AnnotatedHex } from './annotated-hex.ts';

const KIND_NAMES: Readonly<Record<number, string>> = {
  [KIND_TIMESTAMPS]: 'timestamps',
  [KIND_LENGTHS]: 'line lengths',
  [KIND_METADATA]: 'metadata',
  [KIND_LINES]: 'lines',
};

/** Every byte of a block with its meaning; compressed columns are shown decompressed. */
export function dumpBlock(bytes: Uint8Array): string {
  const { header, columns } = decodeBlockHeader(bytes);
  const hex = new AnnotatedHex(bytes);
  hex.heading('header');
  hex.field(4, 'magic "LPBK"');
  hex.u8('version');
  hex.field(1, `flags: ${header.ascii ? 'ASCII' : 'not only ASCII'}`);
  hex.field(2, 'zero');
  hex.u32('rowCount');
  hex.u32('columnCount');
  hex.u32('directoryBytes');
  hex.u32('lineBytes');
  hex.u64('metadataBytes');
  hex.u64('minNs');
  hex.u64('maxNs');
  hex.u32('encodedBytes');
  hex.field(4, 'crc of header and directory');
  for (const place of columns) {
    hex.heading(`directory: ${titleOf(place)}`);
    hex.u8('kind');
    hex.field(1, `encoding: ${place.encoding === ENCODING_RAW ? 'raw' : 'zstd'}`);
    hex.field(2, 'zero');
    hex.u32('offset');
    hex.u32('storedBytes');
    hex.u32('rawBytes');
    hex.field(4, 'crc of the stored bytes');
    hex.u32('nameLength');
    hex.field(Buffer.byteLength(place.name), 'name');
  }
  for (const place of columns) {
    const dump = dumpColumn(place, decompressColumn(bytes, place, freshMemory), header.rowCount);
    if (place.encoding === ENCODING_RAW) {
      hex.heading(`${titleOf(place)}, raw; offsets from its start`);
      hex.insert(dump);
      hex.skip(place.storedBytes, 'the above');
    } else {
      hex.heading(`${titleOf(place)}, decompressed; offsets from its start`);
      hex.insert(dump);
      hex.skip(place.storedBytes, 'the above as one zstd frame');
    }
  }
  return hex.finish();
}

function titleOf(place: ColumnPlace): string {
  const kind = KIND_NAMES[place.kind] ?? `kind ${place.kind}`;
  return place.name === '' ? kind : `${kind} ${JSON.stringify(place.name)}`;
}

function dumpColumn(place: ColumnPlace, raw: Buffer, rowCount: number): string {
  const hex = new AnnotatedHex(raw);
  switch (place.kind) {
    case KIND_TIMESTAMPS:
      dumpTimestamps(hex, raw, rowCount);
      break;
    case KIND_LENGTHS:
      hex.u8('width');
      hex.planes(rowCount, raw[0]!, 'lengths');
      break;
    case KIND_METADATA: {
      const valueCount = raw.readUInt32LE(0);
      hex.u32('valueCount');
      hex.field(1, (b) => `lengthWidth = ${b[0]! & 0x7f}${b[0]! > 0x7f ? ', values in hexadecimal' : ''}`);
      hex.u8('indexWidth');
      hex.planes(valueCount, raw[4]! & 0x7f, 'value lengths');
      hex.planes(rowCount, raw[5]!, 'indexes');
      hex.field(raw.length - hex.at, (b) => `values ${JSON.stringify(b.toString())}`);
      break;
    }
    default:
      hex.field(raw.length, (b) => JSON.stringify(b.toString()));
  }
  return hex.finish();
}

const MODES = ['differences', 'differences of differences, zigzag', 'packed'];

function dumpTimestamps(hex: AnnotatedHex, raw: Buffer, rowCount: number): void {
  hex.field(1, (b) => `mode: ${MODES[b[0]!]}`);
  if (raw[0] !== 2) {
    hex.u8('width');
    hex.f64('divisor');
    hex.planes(rowCount - 1, raw[1]!, 'differences');
    return;
  }
  const exceptions = raw.readUInt32LE(18);
  hex.u8('bits');
  hex.f64('divisor');
  hex.f64('base');
  hex.u32('exceptions');
  hex.u8('indexWidth');
  hex.u8('valueWidth');
  hex.field(4 * Math.ceil(((rowCount - 1) * raw[1]!) / 32), 'numbers above base');
  hex.planes(exceptions, raw[22]!, 'indexes of exceptions');
  hex.planes(exceptions, raw[23]!, 'numbers of exceptions');
}
