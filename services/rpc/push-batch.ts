/**
 * The unit of work between a distributor and an ingester: the validated rows of one push for one tenant, as columns.
 * The same bytes travel in the process, over gRPC, and into the write-ahead log; nobody decodes lines in between.
 * Little-endian; every section starts at a multiple of 8, so that columns can be read in place.
 *
 *     batch  := header tenant stream*
 *     header := u32 magic  u32 byteLength  u32 tenantLength  u32 streamCount  u32 rowCount  u32 0
 *     tenant := utf-8, padded
 *     stream := u32 labelsLength  u32 rowCount  u32 lineBytes  u32 metaSetCount  u32 metaBytes  u32 flags  i64 baseNs
 *               f64 offsetsNs[rowCount]  u32 lineLengths[rowCount]  u32 metaIndexes[rowCount]  u32 metaEnds[metaSetCount]
 *               labels (utf-8, canonical `{a="b", c="d"}`)  metaBytes  lineBytes      (each padded)
 *     flags  := bit 0: timestamps strictly ascending
 *
 * `metaIndexes` are 1 + index of a metadata set (`storage/block/metadata-set.ts`), 0 for none.
 */
const MAGIC = 0x3142504c; // "LPB1"
const HEADER_BYTES = 24;
const STREAM_HEADER_BYTES = 32;
const FLAG_ASCENDING = 1;

/**
 * Rows of one stream for `encodePushBatch`: `rowCount` of the columns' rows, from `firstRow` on. Streams of a push share its
 * columns; views of them for each stream were most of what grew old in the heap. Lines may lie anywhere in `source`.
 */
export interface StreamRows {
  readonly labels: string;
  readonly baseNs: bigint;
  readonly firstRow: number;
  readonly rowCount: number;
  /** ns after `baseNs`, below 2^53 in size. */
  readonly offsetsNs: Float64Array;
  /** Where each line starts in `source`. */
  readonly lineStarts: Uint32Array;
  readonly lineLengths: Uint32Array;
  readonly source: Uint8Array;
  readonly metaIndexes: Uint32Array;
  readonly metaSetCount: number;
  readonly metaEnds: Uint32Array;
  readonly metaBytes: Uint8Array;
  readonly ascending: boolean;
}

/** Rows of one stream as an ingester reads them: views of the batch, valid as long as it is. */
export interface StreamBatch {
  readonly labels: string;
  readonly baseNs: bigint;
  readonly rowCount: number;
  readonly offsetsNs: Float64Array;
  readonly lineLengths: Uint32Array;
  readonly metaIndexes: Uint32Array;
  readonly metaEnds: Uint32Array;
  readonly metaBytes: Buffer;
  /** All lines of the stream, touching each other, in row order. */
  readonly lineBytes: Buffer;
  readonly ascending: boolean;
}

export interface PushBatch {
  readonly tenant: string;
  readonly rowCount: number;
  readonly streams: readonly StreamBatch[];
}

export class CorruptPushBatchError extends Error {
  readonly code = 'corrupt_push_batch';
}

const pad = (n: number): number => (n + 7) & ~7;

/**
 * `allocate` gives the memory: exactly as many bytes, from a multiple of 8 on, whatever is in them. Lines that touch each
 * other in their source are copied together.
 */
export function encodePushBatch(
  tenant: string,
  streams: readonly StreamRows[],
  allocate: (bytes: number) => Buffer = Buffer.allocUnsafeSlow,
): Buffer {
  const tenantBytes = Buffer.from(tenant, 'utf8');
  const labelBytes = streams.map((s) => Buffer.byteLength(s.labels, 'utf8'));
  const lineTotals = streams.map(lineTotal);
  let size = HEADER_BYTES + pad(tenantBytes.length);
  let rowCount = 0;
  for (let i = 0; i < streams.length; i++) {
    const s = streams[i]!;
    rowCount += s.rowCount;
    size += STREAM_HEADER_BYTES + 8 * s.rowCount + 2 * pad(4 * s.rowCount) + pad(4 * s.metaSetCount);
    size += pad(labelBytes[i]!) + pad(metaTotal(s)) + pad(lineTotals[i]!);
  }
  const out = allocate(size);
  // One view of each kind for all streams: pushes of many small streams would spend their time on making views.
  const doubles = new Float64Array(out.buffer, out.byteOffset, size >>> 3);
  const words = new Uint32Array(out.buffer, out.byteOffset, size >>> 2);
  words.set([MAGIC, size, tenantBytes.length, streams.length, rowCount, 0]);
  out.set(tenantBytes, HEADER_BYTES);
  let at = HEADER_BYTES;
  /** Passes over a section that was written, and zeroes its padding. */
  const pass = (length: number): void => {
    const end = at + pad(length);
    for (at += length; at < end; at++) out[at] = 0;
  };
  pass(tenantBytes.length);
  const target = new DataView(out.buffer, out.byteOffset, size);
  let source: Uint8Array = out;
  let lines = out;
  let from = target;
  for (let i = 0; i < streams.length; i++) {
    const s = streams[i]!;
    const n = s.rowCount;
    const first = s.firstRow;
    const metaBytes = metaTotal(s);
    const head = at >>> 2;
    words[head] = labelBytes[i]!;
    words[head + 1] = n;
    words[head + 2] = lineTotals[i]!;
    words[head + 3] = s.metaSetCount;
    words[head + 4] = metaBytes;
    words[head + 5] = s.ascending ? FLAG_ASCENDING : 0;
    out.writeBigInt64LE(s.baseNs, at + 24);
    at += STREAM_HEADER_BYTES;
    copyRange(s.offsetsNs, first, n, doubles, at >>> 3);
    at += 8 * n;
    copyRange(s.lineLengths, first, n, words, at >>> 2);
    pass(4 * n);
    copyRange(s.metaIndexes, first, n, words, at >>> 2);
    pass(4 * n);
    copyRange(s.metaEnds, 0, s.metaSetCount, words, at >>> 2);
    pass(4 * s.metaSetCount);
    out.write(s.labels, at, 'utf8');
    pass(labelBytes[i]!);
    copyRange(s.metaBytes, 0, metaBytes, out, at);
    pass(metaBytes);
    if (s.source !== source) {
      source = s.source;
      // `copy` of a Buffer makes no view of a line, which `set` would need.
      lines = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
      from = new DataView(source.buffer, source.byteOffset, source.byteLength);
    }
    copyLines(s, lines, from, out, target, at);
    pass(lineTotals[i]!);
  }
  return out;
}

/** Elements up to which a loop is faster than a view and `set`. */
const FEW = 48;

function copyRange<T extends Uint8Array | Uint32Array | Float64Array>(
  from: T,
  first: number,
  count: number,
  to: T,
  at: number,
): void {
  if (count > FEW) to.set(from.length === count ? from : from.subarray(first, first + count), at);
  else for (let i = 0; i < count; i++) to[at + i] = from[first + i]!;
}

function lineTotal({ firstRow, rowCount, lineLengths }: StreamRows): number {
  let total = 0;
  for (let r = firstRow; r < firstRow + rowCount; r++) total += lineLengths[r]!;
  return total;
}

const metaTotal = (s: StreamRows): number => (s.metaSetCount > 0 ? s.metaEnds[s.metaSetCount - 1]! : 0);

/** Lines up to which words are moved here: a call of `copy` costs as much as 20 of them. */
const SHORT_LINE_BYTES = 512;
/** What is moved at a time, be there as much or not. */
const MOVED_BYTES = 32;

/**
 * Copies the lines of a stream, and up to 31 bytes more, which are overwritten by what comes behind. `from` is a view of
 * `source`, `to` one of `out`.
 */
function copyLines(s: StreamRows, source: Buffer, from: DataView, out: Buffer, to: DataView, at: number): void {
  const { lineStarts, lineLengths } = s;
  const lastRow = s.firstRow + s.rowCount;
  const safeStart = source.length - MOVED_BYTES;
  const safeAt = out.length - MOVED_BYTES;
  for (let r = s.firstRow; r < lastRow; ) {
    let start = lineStarts[r]!;
    let end = start + lineLengths[r]!;
    for (r++; r < lastRow && lineStarts[r] === end; r++) end += lineLengths[r]!;
    const next = at + end - start;
    if (end - start > SHORT_LINE_BYTES || end > safeStart || next > safeAt) {
      source.copy(out, at, start, end);
      at = next;
      continue;
    }
    for (; start < end; start += MOVED_BYTES, at += MOVED_BYTES) {
      to.setBigInt64(at, from.getBigInt64(start, true), true);
      to.setBigInt64(at + 8, from.getBigInt64(start + 8, true), true);
      to.setBigInt64(at + 16, from.getBigInt64(start + 16, true), true);
      to.setBigInt64(at + 24, from.getBigInt64(start + 24, true), true);
    }
    at = next;
  }
}

/** Reads all streams of a batch; see `openPushBatch`. */
export function decodePushBatch(bytes: Uint8Array): PushBatch {
  const batch = openPushBatch(bytes);
  return { tenant: batch.tenant, rowCount: batch.rowCount, streams: [...batch] };
}

/**
 * A batch of which streams are looked at one by one. Views of all of them at once, seven a stream, are so many where streams
 * are small that the garbage collector finds them while they are needed, and takes them for old.
 */
export class OpenPushBatch {
  readonly tenant: string;
  readonly rowCount: number;
  /** Of each stream. */
  readonly labels: readonly string[];
  /** Of each stream the number of its header's first word. */
  readonly #heads: readonly number[];
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #longs: BigInt64Array;

  /** For `openPushBatch`, which has checked all lengths. */
  constructor(
    tenant: string,
    rowCount: number,
    labels: readonly string[],
    heads: readonly number[],
    bytes: Uint8Array,
    words: Uint32Array,
    longs: BigInt64Array,
  ) {
    this.tenant = tenant;
    this.rowCount = rowCount;
    this.labels = labels;
    this.#heads = heads;
    this.#bytes = bytes;
    this.#words = words;
    this.#longs = longs;
  }

  stream(index: number): StreamBatch {
    const memory = this.#bytes.buffer;
    const words = this.#words;
    const head = this.#heads[index]!;
    const labelsLength = words[head]!;
    const rowCount = words[head + 1]!;
    const lineBytes = words[head + 2]!;
    const metaSetCount = words[head + 3]!;
    const metaBytes = words[head + 4]!;
    let at = this.#bytes.byteOffset + 4 * head + STREAM_HEADER_BYTES;
    const take = (length: number): number => {
      const from = at;
      at += pad(length);
      return from;
    };
    const offsetsNs = new Float64Array(memory, take(8 * rowCount), rowCount);
    const lineLengths = new Uint32Array(memory, take(4 * rowCount), rowCount);
    const metaIndexes = new Uint32Array(memory, take(4 * rowCount), rowCount);
    const metaEnds = new Uint32Array(memory, take(4 * metaSetCount), metaSetCount);
    take(labelsLength);
    return {
      labels: this.labels[index]!,
      baseNs: this.#longs[(head + 6) >>> 1]!,
      rowCount,
      offsetsNs,
      lineLengths,
      metaIndexes,
      metaEnds,
      metaBytes: Buffer.from(memory, take(metaBytes), metaBytes),
      lineBytes: Buffer.from(memory, take(lineBytes), lineBytes),
      ascending: (words[head + 5]! & FLAG_ASCENDING) !== 0,
    };
  }

  *[Symbol.iterator](): Generator<StreamBatch> {
    for (let i = 0; i < this.labels.length; i++) yield this.stream(i);
  }
}

/**
 * Reads a batch in place when `bytes` starts at a multiple of 8 in its memory, else from one copy.
 * Throws CorruptPushBatchError when a length does not fit.
 */
export function openPushBatch(bytes: Uint8Array): OpenPushBatch {
  if (bytes.byteOffset % 8 !== 0) bytes = new Uint8Array(bytes); // a fresh, aligned copy
  const memory = bytes.buffer;
  const start = bytes.byteOffset;
  const corrupt = (what: string): never => {
    throw new CorruptPushBatchError(`push batch: ${what}`);
  };
  if (bytes.length < HEADER_BYTES) corrupt('cut short');
  const words = new Uint32Array(memory, start, bytes.length >>> 2);
  const longs = new BigInt64Array(memory, start, bytes.length >>> 3);
  const [magic, size, tenantLength, streamCount, rowCount] = words;
  if (magic !== MAGIC) corrupt('bad magic');
  if (size !== bytes.length) corrupt(`length ${bytes.length}, header says ${size}`);
  const text = Buffer.from(memory, start, bytes.length);
  const end = start + bytes.length;
  let at = start + HEADER_BYTES;
  const take = (length: number): number => {
    // Before it is padded: in 32 bits that turns the longest lengths into a way back.
    if (length > end - at) corrupt('a section passes the end');
    const from = at;
    at += pad(length);
    return from;
  };
  const tenantAt = take(tenantLength!) - start;
  const tenant = text.toString('utf8', tenantAt, tenantAt + tenantLength!);
  const labels: string[] = [];
  const heads: number[] = [];
  let rows = 0;
  for (let i = 0; i < streamCount!; i++) {
    const head = (take(STREAM_HEADER_BYTES) - start) >>> 2;
    const labelsLength = words[head]!;
    const n = words[head + 1]!;
    const metaSetCount = words[head + 3]!;
    if (n > bytes.length / 16 || metaSetCount > bytes.length / 4) corrupt('more rows than bytes');
    take(8 * n);
    take(4 * n);
    take(4 * n);
    take(4 * metaSetCount);
    const labelsAt = take(labelsLength) - start;
    take(words[head + 4]!);
    take(words[head + 2]!);
    labels.push(text.toString('utf8', labelsAt, labelsAt + labelsLength));
    heads.push(head);
    rows += n;
  }
  if (rows !== rowCount) corrupt(`${rows} rows, header says ${rowCount}`);
  return new OpenPushBatch(tenant, rows, labels, heads, bytes, words, longs);
}
