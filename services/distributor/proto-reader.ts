import { PushError } from './push-error.ts';

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
const START_GROUP = 3;
const END_GROUP = 4;
export const FIXED32 = 5;

/** Groups in groups, of unknown fields. */
const MAX_GROUP_DEPTH = 100;

/**
 * Steps over the protobuf wire format without building messages. Every length is checked against its message; what is
 * malformed throws PushError 400.
 */
export class ProtoReader {
  readonly bytes: Buffer;
  at = 0;
  readonly #message: string;

  /** `message`: its name, for error texts. */
  constructor(bytes: Buffer, message: string) {
    this.bytes = bytes;
    this.#message = message;
  }

  /** A field's key: its number shifted by three, and the wire type. */
  tag(end: number): number {
    const byte = this.bytes[this.at]!;
    if (byte >= 0x80 || byte < 8) return this.#anyTag(end);
    this.at++;
    return byte;
  }

  #anyTag(end: number): number {
    const tag = this.varint(end);
    if (tag >>> 3 === 0 || tag > 0xffffffff)
      throw malformed(`proto: ${this.#message}: illegal tag ${Math.floor(tag / 8)}`);
    return tag;
  }

  expect(tag: number, type: number, name: string): void {
    if ((tag & 7) !== type) throw malformed(`proto: wrong wireType = ${tag & 7} for field ${name}`);
  }

  /** Reads a length and returns where the field ends, which is at most `end`. */
  end(end: number): number {
    const byte = this.bytes[this.at];
    let length: number;
    if (this.at < end && byte! < 0x80) {
      length = byte!;
      this.at++;
    } else length = this.varint(end);
    const stop = this.at + length;
    if (stop > end) throw malformed('unexpected EOF');
    return stop;
  }

  /** Exact below 2^53; above only good for comparing. */
  varint(end: number): number {
    const bytes = this.bytes;
    let at = this.at;
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      if (at >= end) throw malformed('unexpected EOF');
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.at = at;
        return value;
      }
      factor *= 128;
    }
    throw malformed('proto: integer overflow');
  }

  /** A varint as a signed 64-bit number, exact for what a timestamp can hold; anything larger stays too large. */
  int64(end: number): number {
    const start = this.at;
    const value = this.varint(end);
    if (value < Number.MAX_SAFE_INTEGER) return value;
    return Number(this.#exact(start));
  }

  /** A varint as a signed 64-bit number. */
  exactInt64(end: number): bigint {
    const start = this.at;
    const value = this.varint(end);
    return value < Number.MAX_SAFE_INTEGER ? BigInt(value) : this.#exact(start);
  }

  /** Eight bytes as an unsigned number. */
  fixed64(end: number): bigint {
    return this.bytes.readBigUInt64LE(this.#pass(8, end));
  }

  double(end: number): number {
    return this.bytes.readDoubleLE(this.#pass(8, end));
  }

  /** Four bytes as an unsigned number. */
  fixed32(end: number): number {
    return this.bytes.readUInt32LE(this.#pass(4, end));
  }

  #pass(length: number, end: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > end) throw malformed('unexpected EOF');
    return start;
  }

  /** The varint between `start` and the place at hand. */
  #exact(start: number): bigint {
    let exact = 0n;
    for (let at = start, shift = 0n; at < this.at; at++, shift += 7n) exact |= BigInt(this.bytes[at]! & 0x7f) << shift;
    return BigInt.asIntN(64, exact);
  }

  /** Passes over the value of a field that nobody asked for. */
  skip(tag: number, end: number): void {
    let depth = 0;
    for (;;) {
      switch (tag & 7) {
        case VARINT:
          this.varint(end);
          break;
        case FIXED64:
          this.at += 8;
          break;
        case BYTES:
          this.at = this.end(end);
          break;
        case START_GROUP:
          if (++depth > MAX_GROUP_DEPTH) throw malformed('proto: groups nested too deeply');
          break;
        case END_GROUP:
          if (depth === 0) throw malformed(`proto: ${this.#message}: wiretype end group for non-group`);
          depth--;
          break;
        case FIXED32:
          this.at += 4;
          break;
        default:
          throw malformed(`proto: illegal wireType ${tag & 7}`);
      }
      if (this.at > end) throw malformed('unexpected EOF');
      if (depth === 0) return;
      if (this.at === end) throw malformed('unexpected EOF');
      tag = this.tag(end);
    }
  }
}

/** What a message that cannot be read is refused with. */
export const malformed = (message: string): PushError => new PushError(400, message);
