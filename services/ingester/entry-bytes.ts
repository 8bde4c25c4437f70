import type { StreamBatch } from '../rpc/push-batch.ts';

const DETECTED_LEVEL = Buffer.from('detected_level');

export interface EntryBytes {
  of(row: number): number;
  total(): number;
}

/** Sizes of rows as limits count them: the line, and names and values of metadata except `detected_level`. */
export function entryBytesOf(batch: StreamBatch): EntryBytes {
  const { metaEnds, metaBytes, metaIndexes, lineLengths } = batch;
  const sets = new Uint32Array(metaEnds.length + 1);
  let start = 0;
  let any = false;
  for (let i = 0; i < metaEnds.length; i++) {
    sets[i + 1] = setBytes(metaBytes, start, metaEnds[i]!);
    if (sets[i + 1] !== 0) any = true;
    start = metaEnds[i]!;
  }
  return {
    of: (row) => lineLengths[row]! + sets[metaIndexes[row]!]!,
    total: () => {
      let sum = batch.lineBytes.length;
      if (any) for (let row = 0; row < batch.rowCount; row++) sum += sets[metaIndexes[row]!]!;
      return sum;
    },
  };
}

/** A set is `(uvarint length, bytes)` of name, value, name, value, …; see `storage/block/metadata-set.ts`. */
export function setBytes(bytes: Buffer, start: number, end: number): number {
  let at = start;
  let sum = 0;
  const length = (): number => {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  };
  while (at < end) {
    const nameLength = length();
    const name = at;
    at += nameLength;
    const valueLength = length();
    at += valueLength;
    const isLevel =
      nameLength === DETECTED_LEVEL.length &&
      bytes.compare(DETECTED_LEVEL, 0, nameLength, name, name + nameLength) === 0;
    if (!isLevel) sum += nameLength + valueLength;
  }
  return sum;
}
