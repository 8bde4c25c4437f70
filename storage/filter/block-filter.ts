/**
 * What proves, without opening a block, that no row of it can be in an answer (`docs/formats/filter.md`).
 *
 *     filter := u32 textBytes  u32 valueBytes  text (text-bits.ts)  values (value-bits.ts)
 *
 * A block without a filter (no bytes at all) may contain anything.
 */
import type { Labels } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import { encodeTextBits, MIN_NEEDLE_BYTES, TextProbe } from './text-bits.ts';
import { encodeValueBits, type ValueColumn, ValueProbe } from './value-bits.ts';

const HEADER_BYTES = 8;

/** `lines`: joined, as they stand in the block. */
export function encodeFilter(lines: Uint8Array, metadata: readonly ValueColumn[]): Uint8Array {
  const text = encodeTextBits(lines);
  const values = encodeValueBits(metadata);
  const filter = new Uint8Array(HEADER_BYTES + text.length + values.length);
  const view = new DataView(filter.buffer);
  view.setUint32(0, text.length, true);
  view.setUint32(4, values.length, true);
  filter.set(text, HEADER_BYTES);
  filter.set(values, HEADER_BYTES + text.length);
  return filter;
}

/** Whether a block of the stream may have rows for the condition. Its filter is `[start, start + length)` of `bytes`. */
export type FilterTest = (stream: Labels, bytes: Uint8Array, start: number, length: number) => boolean;

/** Null when no filter can tell anything about the condition. */
export function compileFilterTest(condition: RowCondition | null): FilterTest | null {
  const probe = condition === null ? null : compileProbe(condition);
  if (probe === null) return null;
  return (stream, bytes, start, length) => {
    if (length < HEADER_BYTES) return true;
    const textEnd = start + HEADER_BYTES + readUint32(bytes, start);
    const end = start + length;
    // A filter that does not add up proves nothing.
    if (textEnd + readUint32(bytes, start + 4) !== end || textEnd === start + HEADER_BYTES) return true;
    return probe(stream, bytes, start + HEADER_BYTES, textEnd, end);
  };
}

/** Text bits are `[textStart, textEnd)`, value bits `[textEnd, end)`. */
type Probe = (stream: Labels, bytes: Uint8Array, textStart: number, textEnd: number, end: number) => boolean;

function compileProbe(condition: RowCondition): Probe | null {
  switch (condition.kind) {
    case 'text': {
      const needle = Buffer.from(condition.bytes, 'latin1');
      if (needle.length < MIN_NEEDLE_BYTES) return null;
      const probe = new TextProbe(needle);
      return (_, bytes, textStart, textEnd) => probe.mayBeIn(bytes, textStart, textEnd);
    }
    case 'metadata': {
      const { name, value } = condition;
      const probe = new ValueProbe(name, value);
      // A label of the stream hides the row's.
      return (stream, bytes, _, textEnd, end) =>
        stream.some((label) => label[0] === name) || probe.mayBeIn(bytes, textEnd, end);
    }
    case 'all': {
      const probes = condition.items.map(compileProbe).filter((probe) => probe !== null);
      if (probes.length === 0) return null;
      return (stream, bytes, textStart, textEnd, end) =>
        probes.every((probe) => probe(stream, bytes, textStart, textEnd, end));
    }
    case 'any': {
      const probes = condition.items.map(compileProbe);
      if (probes.includes(null)) return null;
      return (stream, bytes, textStart, textEnd, end) =>
        probes.some((probe) => probe!(stream, bytes, textStart, textEnd, end));
    }
    default:
      return condition satisfies never;
  }
}

function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
