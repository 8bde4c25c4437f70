/**
 * The footer of a segment: columns of fixed-width numbers, so that a reader uses them where they lie; zstd takes care
 * of their size. Little-endian, no padding: columns of 8-byte numbers come first.
 *
 *     footer := u32 seriesCount  u32 blockCount  u32 pairCount  u32 nameCount  u32 valueCount  u32 postingCount
 *               u32 symbolCount  u32 symbolBytes  u32 tenantBytes  u32 filtersCrc
 *               i64 blockMinNs[blockCount]  i64 blockMaxNs[blockCount]
 *               f64 blockOffset[blockCount]  f64 blockMetadataBytes[blockCount]
 *               u32 blockLength[blockCount]  u32 blockLinesOffset[blockCount]
 *               u32 blockRowCount[blockCount]  u32 blockLineBytes[blockCount]  u32 blockFilterBytes[blockCount]
 *               u32 seriesPairStart[seriesCount + 1]  u32 seriesBlockStart[seriesCount + 1]
 *               u32 pairName[pairCount]  u32 pairValue[pairCount]
 *               u32 nameSymbol[nameCount]  u32 nameValueStart[nameCount + 1]
 *               u32 valueSymbol[valueCount]  u32 valuePostingStart[valueCount + 1]
 *               u32 postings[postingCount]
 *               u32 symbolStart[symbolCount + 1]
 *               symbols (UTF-8, ascending by bytes)  tenant (UTF-8)
 *
 * Series are ascending by labels. `pair…`, `name…` and `value…` hold numbers of symbols; names, and the values of one
 * name, are ascending; a value's postings are the series that have it, ascending.
 */
export interface FooterCounts {
  readonly series: number;
  readonly blocks: number;
  readonly pairs: number;
  readonly names: number;
  readonly values: number;
  readonly postings: number;
  readonly symbols: number;
  readonly symbolBytes: number;
  readonly tenantBytes: number;
  /** CRC-32 of all filters together. */
  readonly filtersCrc: number;
}

export const COUNTS_BYTES = 40;

export interface FooterColumns {
  readonly counts: FooterCounts;
  readonly blockMinNs: BigInt64Array;
  readonly blockMaxNs: BigInt64Array;
  readonly blockOffset: Float64Array;
  readonly blockMetadataBytes: Float64Array;
  readonly blockLength: Uint32Array;
  readonly blockLinesOffset: Uint32Array;
  readonly blockRowCount: Uint32Array;
  readonly blockLineBytes: Uint32Array;
  readonly blockFilterBytes: Uint32Array;
  readonly seriesPairStart: Uint32Array;
  readonly seriesBlockStart: Uint32Array;
  readonly pairName: Uint32Array;
  readonly pairValue: Uint32Array;
  readonly nameSymbol: Uint32Array;
  readonly nameValueStart: Uint32Array;
  readonly valueSymbol: Uint32Array;
  readonly valuePostingStart: Uint32Array;
  readonly postings: Uint32Array;
  readonly symbolStart: Uint32Array;
  readonly symbols: Buffer;
  readonly tenant: Buffer;
}

export function footerSize(c: FooterCounts): number {
  const words =
    5 * c.blocks + 2 * (c.series + 1) + 2 * c.pairs + 2 * c.names + 1 + 2 * c.values + 1 + c.postings + c.symbols + 1;
  return COUNTS_BYTES + 32 * c.blocks + 4 * words + c.symbolBytes + c.tenantBytes;
}

export function writeCounts(memory: ArrayBuffer, c: FooterCounts): void {
  const { series, blocks, pairs, names, values, postings, symbols, symbolBytes, tenantBytes, filtersCrc } = c;
  new Uint32Array(memory, 0, 10).set([
    series,
    blocks,
    pairs,
    names,
    values,
    postings,
    symbols,
    symbolBytes,
    tenantBytes,
    filtersCrc,
  ]);
}

export function readCounts(memory: ArrayBuffer): FooterCounts {
  const words = new Uint32Array(memory, 0, 10);
  return {
    series: words[0]!,
    blocks: words[1]!,
    pairs: words[2]!,
    names: words[3]!,
    values: words[4]!,
    postings: words[5]!,
    symbols: words[6]!,
    symbolBytes: words[7]!,
    tenantBytes: words[8]!,
    filtersCrc: words[9]!,
  };
}

/** The columns as views of `memory`, which is `footerSize(counts)` long. */
export function mapFooter(memory: ArrayBuffer, counts: FooterCounts): FooterColumns {
  let at = COUNTS_BYTES;
  const take = (bytes: number): number => {
    const from = at;
    at += bytes;
    return from;
  };
  const int64 = (n: number) => new BigInt64Array(memory, take(8 * n), n);
  const float64 = (n: number) => new Float64Array(memory, take(8 * n), n);
  const uint32 = (n: number) => new Uint32Array(memory, take(4 * n), n);
  const { series, blocks, pairs, names, values, postings, symbols, symbolBytes, tenantBytes } = counts;
  return {
    counts,
    blockMinNs: int64(blocks),
    blockMaxNs: int64(blocks),
    blockOffset: float64(blocks),
    blockMetadataBytes: float64(blocks),
    blockLength: uint32(blocks),
    blockLinesOffset: uint32(blocks),
    blockRowCount: uint32(blocks),
    blockLineBytes: uint32(blocks),
    blockFilterBytes: uint32(blocks),
    seriesPairStart: uint32(series + 1),
    seriesBlockStart: uint32(series + 1),
    pairName: uint32(pairs),
    pairValue: uint32(pairs),
    nameSymbol: uint32(names),
    nameValueStart: uint32(names + 1),
    valueSymbol: uint32(values),
    valuePostingStart: uint32(values + 1),
    postings: uint32(postings),
    symbolStart: uint32(symbols + 1),
    symbols: Buffer.from(memory, take(symbolBytes), symbolBytes),
    tenant: Buffer.from(memory, take(tenantBytes), tenantBytes),
  };
}
