import { crc32, constants as zlib, zstdCompressSync } from 'node:zlib';
import { compareLabels, type Labels } from '../../logql/labels.ts';
import { openBlock } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import { type Clock, systemClock } from '../host/clock.ts';
import { type FooterCounts, footerSize, mapFooter, writeCounts } from './footer-layout.ts';
import { newSegmentId, segmentKey } from './key.ts';
import { encodeTrailer, SEGMENT_MAGIC, TRAILER_BYTES } from './trailer.ts';

export interface SegmentSeries {
  readonly labels: Labels;
  /** In order of arrival. */
  readonly blocks: readonly EncodedBlock[];
}

export interface WrittenSegment {
  readonly key: string;
  /** What the object consists of; blocks are among them as they were given. */
  readonly pieces: readonly Uint8Array[];
  readonly sizeBytes: number;
}

const FOOTER_LEVEL = 3;

/**
 * One object of many streams' blocks, ordered by labels. Series of equal labels are joined, in the order given. The same
 * series under the same `id` give the same key and the same bytes. Throws CorruptBlockError when a block is none,
 * RangeError when there is no block at all.
 */
export function writeSegment(
  tenant: string,
  series: readonly SegmentSeries[],
  clock: Clock = systemClock,
  id: string = newSegmentId(clock.nowMs()),
): WrittenSegment {
  const sorted = joinSeries(series);
  const pieces: Uint8Array[] = [SEGMENT_MAGIC];
  let footerOffset = SEGMENT_MAGIC.length;
  for (const { blocks } of sorted) {
    for (const { bytes } of blocks) {
      pieces.push(bytes);
      footerOffset += bytes.length;
    }
  }
  const { filters, crc } = joinFilters(sorted);
  pieces.push(...filters);
  for (const filter of filters) footerOffset += filter.length;
  const raw = encodeFooter(tenant, sorted, crc);
  const footer = zstdCompressSync(raw, {
    pledgedSrcSize: raw.length,
    params: { [zlib.ZSTD_c_compressionLevel]: FOOTER_LEVEL },
  });
  pieces.push(
    footer,
    encodeTrailer({ footerOffset, footerBytes: footer.length, footerRawBytes: raw.length, footerCrc: crc32(footer) }),
  );
  const sizeBytes = footerOffset + footer.length + TRAILER_BYTES;
  const { minNs, maxNs } = boundsOf(sorted);
  const key = segmentKey({ tenant, minNs, maxNs, id, sizeBytes, footerBytes: footer.length });
  return { key, pieces, sizeBytes };
}

function joinSeries(series: readonly SegmentSeries[]): readonly SegmentSeries[] {
  const sorted = series.filter((s) => s.blocks.length > 0).sort((a, b) => compareLabels(a.labels, b.labels));
  const joined: SegmentSeries[] = [];
  /** The blocks of the last one, once it was joined with another. */
  let blocks: EncodedBlock[] | null = null;
  for (const one of sorted) {
    const last = joined.at(-1);
    if (last === undefined || compareLabels(last.labels, one.labels) !== 0) {
      joined.push(one);
      blocks = null;
    } else if (blocks === null) {
      blocks = [...last.blocks, ...one.blocks];
      joined[joined.length - 1] = { labels: last.labels, blocks };
    } else blocks.push(...one.blocks);
  }
  if (joined.length === 0) throw new RangeError('a segment without blocks');
  return joined;
}

function joinFilters(series: readonly SegmentSeries[]): { filters: Uint8Array[]; crc: number } {
  const filters: Uint8Array[] = [];
  let crc = 0;
  for (const { blocks } of series) {
    for (const { filter } of blocks) {
      if (filter.length === 0) continue;
      filters.push(filter);
      crc = crc32(filter, crc);
    }
  }
  return { filters, crc };
}

function boundsOf(series: readonly SegmentSeries[]): { minNs: bigint; maxNs: bigint } {
  let { minNs, maxNs } = series[0]!.blocks[0]!.stats;
  for (const { blocks } of series) {
    for (const { stats } of blocks) {
      if (stats.minNs < minNs) minNs = stats.minNs;
      if (stats.maxNs > maxNs) maxNs = stats.maxNs;
    }
  }
  return { minNs, maxNs };
}

function encodeFooter(tenant: string, series: readonly SegmentSeries[], filtersCrc: number): Uint8Array {
  const symbols = new SymbolTable(series);
  const index: PostingIndex = new Map();
  let pairs = 0;
  let blocks = 0;
  series.forEach((one, number) => {
    blocks += one.blocks.length;
    pairs += one.labels.length;
    for (const [name, value] of one.labels) addPosting(index, name, value, number);
  });
  let values = 0;
  for (const byValue of index.values()) values += byValue.size;
  const tenantBytes = Buffer.from(tenant, 'utf8');
  const counts: FooterCounts = {
    series: series.length,
    blocks,
    pairs,
    names: index.size,
    values,
    postings: pairs,
    symbols: symbols.sorted.length,
    symbolBytes: symbols.byteLength,
    tenantBytes: tenantBytes.length,
    filtersCrc,
  };
  const memory = new ArrayBuffer(footerSize(counts));
  writeCounts(memory, counts);
  const out = mapFooter(memory, counts);
  let pair = 0;
  let block = 0;
  let offset = SEGMENT_MAGIC.length;
  series.forEach((one, number) => {
    for (const [name, value] of one.labels) {
      out.pairName[pair] = symbols.numberOf(name);
      out.pairValue[pair++] = symbols.numberOf(value);
    }
    out.seriesPairStart[number + 1] = pair;
    for (const { bytes, stats, filter } of one.blocks) {
      out.blockMinNs[block] = stats.minNs;
      out.blockMaxNs[block] = stats.maxNs;
      out.blockOffset[block] = offset;
      out.blockMetadataBytes[block] = stats.metadataBytes;
      out.blockLength[block] = bytes.length;
      out.blockLinesOffset[block] = openBlock(bytes).linesOffset;
      out.blockRowCount[block] = stats.rowCount;
      out.blockFilterBytes[block] = filter.length;
      out.blockLineBytes[block++] = stats.lineBytes;
      offset += bytes.length;
    }
    out.seriesBlockStart[number + 1] = block;
  });
  let value = 0;
  let posting = 0;
  const bySymbol = (a: readonly [string, unknown], b: readonly [string, unknown]): number =>
    symbols.numberOf(a[0]) - symbols.numberOf(b[0]);
  [...index].sort(bySymbol).forEach(([name, byValue], n) => {
    out.nameSymbol[n] = symbols.numberOf(name);
    for (const [text, list] of [...byValue].sort(bySymbol)) {
      out.valueSymbol[value] = symbols.numberOf(text);
      if (typeof list === 'number') out.postings[posting++] = list;
      else {
        out.postings.set(list, posting);
        posting += list.length;
      }
      out.valuePostingStart[++value] = posting;
    }
    out.nameValueStart[n + 1] = value;
  });
  let symbolAt = 0;
  const { buffer, byteOffset, byteLength } = out.symbols;
  const symbolBytes = Buffer.from(buffer, byteOffset, byteLength);
  symbols.sorted.forEach((text, s) => {
    out.symbolStart[s + 1] = symbolAt += symbolBytes.write(text, symbolAt);
  });
  out.tenant.set(tenantBytes);
  return new Uint8Array(memory);
}

/** By name and value the series; a single one, which is what most values of a label with many values have, costs no list. */
type PostingIndex = Map<string, Map<string, number | number[]>>;

function addPosting(index: PostingIndex, name: string, value: string, series: number): void {
  let byValue = index.get(name);
  if (!byValue) {
    byValue = new Map();
    index.set(name, byValue);
  }
  const list = byValue.get(value);
  if (list === undefined) byValue.set(value, series);
  else if (typeof list === 'number') byValue.set(value, [list, series]);
  else list.push(series);
}

/** Every distinct text of the labels, in order of UTF-8 bytes. */
class SymbolTable {
  readonly sorted: readonly string[];
  readonly byteLength: number;
  readonly #numbers = new Map<string, number>();

  constructor(series: readonly { readonly labels: Labels }[]) {
    const texts = new Set<string>();
    for (const { labels } of series) {
      for (const [name, value] of labels) {
        texts.add(name);
        texts.add(value);
      }
    }
    let units = 0;
    let bytes = 0;
    for (const text of texts) {
      units += text.length;
      bytes += Buffer.byteLength(text, 'utf8');
    }
    // Of ASCII alone, the order of units is that of bytes.
    this.sorted = bytes === units ? [...texts].sort() : sortByBytes(texts);
    this.byteLength = bytes;
    this.sorted.forEach((text, number) => {
      this.#numbers.set(text, number);
    });
  }

  numberOf(text: string): number {
    return this.#numbers.get(text)!;
  }
}

function sortByBytes(texts: Iterable<string>): string[] {
  const entries = Array.from(texts, (text) => ({ text, bytes: Buffer.from(text, 'utf8') }));
  return entries.sort((a, b) => a.bytes.compare(b.bytes)).map(({ text }) => text);
}
