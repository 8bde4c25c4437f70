import type { StreamBatch } from '../rpc/push-batch.ts';

const DETECTED_LEVEL = Buffer.from('detected_level');

export interface EntryBytes {
  of(row: number): number;
}

/** Sizes of rows as limits count them: the line, and names and values of metadata except `detected_level`. */
export function entryBytesOf(batch: StreamBatch): EntryBytes {
  const { lineLengths, metaIndexes } = batch;
  const sets = new Uint32Array(batch.metaEnds.length + 1);
  fillSetBytes(batch, sets);
  return { of: (row) => lineLengths[row]! + sets[metaIndexes[row]!]! };
}

/** Used again by the next call; makes nothing that would have to be collected for each stream of each push. */
let scratch = new Uint32Array(256);

/** The sizes of all rows together. */
export function totalEntryBytes(batch: StreamBatch): number {
  const { metaEnds, metaIndexes, rowCount } = batch;
  let sum = batch.lineBytes.length;
  if (metaEnds.length === 0) return sum;
  if (metaEnds.length >= scratch.length) scratch = new Uint32Array(2 * metaEnds.length);
  if (!fillSetBytes(batch, scratch)) return sum;
  for (let row = 0; row < rowCount; row++) sum += scratch[metaIndexes[row]!]!;
  return sum;
}

/** By index of a set as rows name it. False when no set counts. */
function fillSetBytes({ metaEnds, metaBytes }: StreamBatch, sets: Uint32Array): boolean {
  let start = 0;
  let any = false;
  sets[0] = 0;
  for (let i = 0; i < metaEnds.length; i++) {
    const end = metaEnds[i]!;
    const bytes = setBytes(metaBytes, start, end);
    sets[i + 1] = bytes;
    if (bytes !== 0) any = true;
    start = end;
  }
  return any;
}

/** A set is `(uvarint length, bytes)` of name, value, name, value, …; see `storage/block/metadata-set.ts`. */
export function setBytes(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let sum = 0;
  while (at < end) {
    let nameLength = 0;
    let valueLength = 0;
    let byte: number;
    let factor = 1;
    do {
      byte = bytes[at++]!;
      nameLength += (byte & 0x7f) * factor;
      factor *= 128;
    } while (byte >= 0x80);
    const isUncounted = nameLength === DETECTED_LEVEL.length && isDetectedLevel(bytes, at);
    at += nameLength;
    factor = 1;
    do {
      byte = bytes[at++]!;
      valueLength += (byte & 0x7f) * factor;
      factor *= 128;
    } while (byte >= 0x80);
    at += valueLength;
    if (!isUncounted) sum += nameLength + valueLength;
  }
  return sum;
}

function isDetectedLevel(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < DETECTED_LEVEL.length; i++) if (bytes[at + i] !== DETECTED_LEVEL[i]) return false;
  return true;
}
