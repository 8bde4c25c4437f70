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

/** Rows of one stream for `encodePushBatch`. Lines may lie anywhere in `source`. */
export interface StreamRows {
  readonly labels: string;
  readonly baseNs: bigint;
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
  const labelBytes = streams.map((s) => Buffer.from(s.labels, 'utf8'));
  let size = HEADER_BYTES + pad(tenantBytes.length);
  let rowCount = 0;
  const lineTotals = streams.map(lineTotal);
  streams.forEach((s, i) => {
    rowCount += s.rowCount;
    size += STREAM_HEADER_BYTES + 8 * s.rowCount + 2 * pad(4 * s.rowCount) + pad(4 * s.metaSetCount);
    size += pad(labelBytes[i]!.length) + pad(metaTotal(s)) + pad(lineTotals[i]!);
  });
  const out = allocate(size);
  const memory = out.buffer as ArrayBuffer;
  const start = out.byteOffset;
  new Uint32Array(memory, start, 6).set([MAGIC, size, tenantBytes.length, streams.length, rowCount, 0]);
  out.set(tenantBytes, HEADER_BYTES);
  let at = HEADER_BYTES;
  /** Passes over a section that was written, and zeroes its padding. */
  const pass = (length: number): void => {
    const end = at + pad(length);
    for (at += length; at < end; at++) out[at] = 0;
  };
  pass(tenantBytes.length);
  streams.forEach((s, i) => {
    const n = s.rowCount;
    const metaBytes = metaTotal(s);
    const labels = labelBytes[i]!;
    const flags = s.ascending ? FLAG_ASCENDING : 0;
    const head = [labels.length, n, lineTotals[i]!, s.metaSetCount, metaBytes, flags];
    new Uint32Array(memory, start + at, 6).set(head);
    out.writeBigInt64LE(s.baseNs, at + 24);
    at += STREAM_HEADER_BYTES;
    new Float64Array(memory, start + at, n).set(s.offsetsNs.subarray(0, n));
    at += 8 * n;
    for (const column of [s.lineLengths.subarray(0, n), s.metaIndexes.subarray(0, n)]) {
      new Uint32Array(memory, start + at, n).set(column);
      pass(4 * n);
    }
    new Uint32Array(memory, start + at, s.metaSetCount).set(s.metaEnds.subarray(0, s.metaSetCount));
    pass(4 * s.metaSetCount);
    out.set(labels, at);
    pass(labels.length);
    out.set(s.metaBytes.subarray(0, metaBytes), at);
    pass(metaBytes);
    copyLines(s, out, at);
    pass(lineTotals[i]!);
  });
  return out;
}

function lineTotal(s: StreamRows): number {
  let total = 0;
  for (let r = 0; r < s.rowCount; r++) total += s.lineLengths[r]!;
  return total;
}

const metaTotal = (s: StreamRows): number => (s.metaSetCount > 0 ? s.metaEnds[s.metaSetCount - 1]! : 0);

function copyLines({ rowCount, lineStarts, lineLengths, source: bytes }: StreamRows, out: Buffer, at: number): void {
  // `copy` of a Buffer makes no view of the line, which `set` would need.
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let r = 0; r < rowCount; ) {
    const from = lineStarts[r]!;
    let to = from + lineLengths[r]!;
    for (r++; r < rowCount && lineStarts[r] === to; r++) to += lineLengths[r]!;
    source.copy(out, at, from, to);
    at += to - from;
  }
}

/**
 * Reads a batch in place when `bytes` starts at a multiple of 8 in its memory, else from one copy.
 * Throws CorruptPushBatchError when a length does not fit.
 */
export function decodePushBatch(bytes: Uint8Array): PushBatch {
  if (bytes.byteOffset % 8 !== 0) bytes = new Uint8Array(bytes); // a fresh, aligned copy
  const memory = bytes.buffer;
  const start = bytes.byteOffset;
  const corrupt = (what: string): never => {
    throw new CorruptPushBatchError(`push batch: ${what}`);
  };
  if (bytes.length < HEADER_BYTES) corrupt('cut short');
  const [magic, size, tenantLength, streamCount, rowCount] = new Uint32Array(memory, start, 6);
  if (magic !== MAGIC) corrupt('bad magic');
  if (size !== bytes.length) corrupt(`length ${bytes.length}, header says ${size}`);
  const end = start + bytes.length;
  let at = start + HEADER_BYTES;
  const take = (length: number): number => {
    // Before it is padded: in 32 bits that turns the longest lengths into a way back.
    if (length > end - at) corrupt('a section passes the end');
    const from = at;
    at += pad(length);
    return from;
  };
  const tenant = Buffer.from(memory, take(tenantLength!), tenantLength).toString('utf8');
  const streams: StreamBatch[] = [];
  let rows = 0;
  for (let i = 0; i < streamCount!; i++) {
    const head = take(STREAM_HEADER_BYTES);
    const [labelsLength, n, lineBytes, metaSetCount, metaBytes, flags] = new Uint32Array(memory, head, 6);
    const baseNs = new BigInt64Array(memory, head + 24, 1)[0]!;
    if (n! > bytes.length / 16 || metaSetCount! > bytes.length / 4) corrupt('more rows than bytes');
    const offsetsNs = new Float64Array(memory, take(8 * n!), n);
    const lineLengths = new Uint32Array(memory, take(4 * n!), n);
    const metaIndexes = new Uint32Array(memory, take(4 * n!), n);
    const metaEnds = new Uint32Array(memory, take(4 * metaSetCount!), metaSetCount);
    const labels = Buffer.from(memory, take(labelsLength!), labelsLength).toString('utf8');
    const meta = Buffer.from(memory, take(metaBytes!), metaBytes);
    const lines = Buffer.from(memory, take(lineBytes!), lineBytes);
    const ascending = (flags! & FLAG_ASCENDING) !== 0;
    streams.push({
      labels,
      baseNs,
      rowCount: n!,
      offsetsNs,
      lineLengths,
      metaIndexes,
      metaEnds,
      metaBytes: meta,
      lineBytes: lines,
      ascending,
    });
    rows += n!;
  }
  if (rows !== rowCount) corrupt(`${rows} rows, header says ${rowCount}`);
  return { tenant: tenant, rowCount: rows, streams };
}
