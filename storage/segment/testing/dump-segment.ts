import { zstdDecompressSync } from 'node:zlib';
import { AnnotatedHex } from '../../block/testing/annotated-hex.ts';
import { mapFooter, readCounts } from '../footer-layout.ts';
import { decodeTrailer, TRAILER_BYTES } from '../trailer.ts';

/** Every byte of a segment with its meaning; blocks are passed over, the footer is shown decompressed. */
export function dumpSegment(bytes: Buffer): string {
  const trailerAt = bytes.length - TRAILER_BYTES;
  const trailer = decodeTrailer('', bytes.subarray(trailerAt), trailerAt);
  const hex = new AnnotatedHex(bytes);
  hex.heading('start');
  hex.field(8, 'magic "LPSEG", 0, 0, 1');
  const footer = zstdDecompressSync(bytes.subarray(trailer.footerOffset, trailerAt));
  const filters = filterLengths(footer);
  hex.heading('blocks');
  hex.skip(trailer.footerOffset - 8 - filters.reduce((sum, length) => sum + length, 0), 'see the format of blocks');
  for (const [i, length] of filters.entries()) {
    hex.heading(`filter of block ${i}`);
    const textBytes = bytes.readUInt32LE(hex.at);
    hex.u32('textBytes');
    const valueBytes = bytes.readUInt32LE(hex.at);
    hex.u32('valueBytes');
    hex.field(textBytes, 'text');
    if (valueBytes > 0) hex.field(valueBytes, 'values');
    hex.field(length - 8 - textBytes - valueBytes, 'letters');
  }
  hex.heading('footer, decompressed; offsets from its start');
  hex.insert(dumpFooter(footer));
  hex.skip(trailer.footerBytes, 'the above as one zstd frame');
  hex.heading('trailer');
  hex.u64('footerOffset');
  hex.u32('footerBytes');
  hex.u32('footerRawBytes');
  hex.field(4, 'crc of the stored footer');
  hex.u32('version');
  hex.field(4, 'crc of the trailer so far');
  hex.field(4, 'magic "LPSG"');
  return hex.finish();
}

function filterLengths(raw: Buffer): number[] {
  const memory = new Uint8Array(raw).buffer;
  return [...mapFooter(memory, readCounts(memory)).blockFilterBytes];
}

function dumpFooter(raw: Buffer): string {
  const counts = readCounts(new Uint8Array(raw).buffer);
  const hex = new AnnotatedHex(raw);
  const many = (count: number, one: (name: string) => void, name: string): void => {
    for (let i = 0; i < count; i++) one(`${name}[${i}]`);
  };
  const u32s = (count: number, name: string): void => many(count, (n) => hex.u32(n), name);
  for (const name of ['series', 'block', 'pair', 'name', 'value', 'posting', 'symbol']) hex.u32(`${name}Count`);
  hex.u32('symbolBytes');
  hex.u32('tenantBytes');
  hex.field(4, 'crc of the filters');
  many(counts.blocks, (n) => hex.u64(n), 'blockMinNs');
  many(counts.blocks, (n) => hex.u64(n), 'blockMaxNs');
  many(counts.blocks, (n) => hex.f64(n), 'blockOffset');
  many(counts.blocks, (n) => hex.f64(n), 'blockMetadataBytes');
  for (const name of ['blockLength', 'blockLinesOffset', 'blockRowCount', 'blockLineBytes', 'blockFilterBytes']) {
    u32s(counts.blocks, name);
  }
  u32s(counts.series + 1, 'seriesPairStart');
  u32s(counts.series + 1, 'seriesBlockStart');
  u32s(counts.pairs, 'pairName');
  u32s(counts.pairs, 'pairValue');
  u32s(counts.names, 'nameSymbol');
  u32s(counts.names + 1, 'nameValueStart');
  u32s(counts.values, 'valueSymbol');
  u32s(counts.values + 1, 'valuePostingStart');
  u32s(counts.postings, 'postings');
  u32s(counts.symbols + 1, 'symbolStart');
  hex.field(counts.symbolBytes, (b) => `symbols ${JSON.stringify(b.toString())}`);
  hex.field(counts.tenantBytes, (b) => `tenant ${JSON.stringify(b.toString())}`);
  return hex.finish();
}
