/**
 * The structured metadata of one row as bytes, so that equal sets are equal bytes:
 *
 *     set := pair*          pairs ascending by name, names unique
 *     pair := uvarint(nameLength) name uvarint(valueLength) value
 */
export type MetadataPairs = readonly (readonly [name: string, value: string])[];

/** `pairs` must be sorted by name and unique. */
export function encodeMetadataSet(pairs: MetadataPairs): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of pairs) {
    for (const text of [name, value]) {
      const bytes = Buffer.from(text, 'utf8');
      parts.push(encodeUvarint(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** Throws RangeError when the bytes are not a set. */
export function decodeMetadataSet(bytes: Uint8Array, start = 0, end = bytes.length): [string, string][] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pairs: [string, string][] = [];
  let at = start;
  const text = (): string => {
    let length = 0;
    let factor = 1;
    for (;;) {
      const byte = buffer[at++];
      if (byte === undefined || at > end || factor > 2 ** 28) throw new RangeError('metadata set: bad length');
      length += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      factor *= 128;
    }
    if (at + length > end) throw new RangeError('metadata set: cut short');
    const value = buffer.toString('utf8', at, at + length);
    at += length;
    return value;
  };
  while (at < end) pairs.push([text(), text()]);
  return pairs;
}

/** Whether `decodeMetadataSet` would take the bytes, without making texts of them. */
export function isMetadataSet(bytes: Uint8Array, start: number, end: number): boolean {
  let texts = 0;
  for (let at = start; at < end; texts++) {
    let length = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || at > end || factor > 2 ** 28) return false;
      length += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
      factor *= 128;
    }
    at += length;
    if (at > end) return false;
  }
  return texts % 2 === 0;
}

function encodeUvarint(value: number): Buffer {
  const bytes: number[] = [];
  while (value >= 0x80) {
    bytes.push((value & 0x7f) | 0x80);
    value = Math.floor(value / 128);
  }
  bytes.push(value);
  return Buffer.from(bytes);
}
