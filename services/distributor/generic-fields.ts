import type { Labels } from '../../logql/labels.ts';
import { blockEnd, isScalar, skipSpace, stringEnd, tokenEnd } from './json-walk.ts';
import { looksLikeJson } from './level-detect.ts';
import { LogfmtScan } from './logfmt-scan.ts';

/** One field of `discover_generic_fields`: where to look for it, in order. */
export interface GenericField {
  readonly name: string;
  readonly hints: readonly string[];
  readonly scan: LogfmtScan;
}

export function genericFields(
  fields: Readonly<Record<string, readonly string[]>> | undefined,
): readonly GenericField[] {
  return Object.entries(fields ?? {}).map(([name, hints]) => ({ name, hints, scan: new LogfmtScan(hints) }));
}

/** The value of a field: from the first hint that is a label, else a piece of metadata, else in the line; or `''`. */
export function findGenericField(
  field: GenericField,
  labels: Labels,
  metadata: ReadonlyMap<string, string>,
  line: Uint8Array,
): string {
  for (const hint of field.hints) {
    const label = labels.find(([name]) => name === hint);
    if (label !== undefined) return label[1];
  }
  for (const hint of field.hints) {
    const value = metadata.get(hint);
    if (value !== undefined) return value;
  }
  if (looksLikeJson(line, 0, line.length)) {
    for (const hint of field.hints) {
      const path = parsePath(hint);
      const value = path === null ? null : jsonAt(line, 0, line.length, path);
      if (value !== null) return value;
    }
    return '';
  }
  const { scan } = field;
  return scan.find(line, 0, line.length) ? utf8(scan.value, scan.valueStart, scan.valueEnd) : '';
}

/** `a.b[0]["c d"]`; null when it is no such path. */
function parsePath(text: string): readonly (string | number)[] | null {
  const path: (string | number)[] = [];
  const part = /\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]/y;
  while (part.lastIndex < text.length) {
    const match = part.exec(text);
    if (match === null) return null;
    path.push(match[1] ?? (match[2] === undefined ? match[3]!.replace(/\\(.)/g, '$1') : Number(match[2])));
  }
  return path.length > 0 ? path : null;
}

/** What stands at a path, as text: a string without its quotes (escapes stay), anything else as written. */
function jsonAt(bytes: Uint8Array, at: number, end: number, path: readonly (string | number)[]): string | null {
  at = skipSpace(bytes, at, end);
  for (const step of path) {
    const next = typeof step === 'number' ? element(bytes, at, end, step) : member(bytes, at, end, step);
    if (next === null) return null;
    at = next;
  }
  const stop = valueEnd(bytes, at, end);
  if (stop < 0) return null;
  return bytes[at] === 0x22 ? utf8(bytes, at + 1, stop - 1) : utf8(bytes, at, stop);
}

/** Where the value of a member starts. */
function member(bytes: Uint8Array, at: number, end: number, name: string): number | null {
  if (bytes[at] !== 0x7b) return null;
  at = skipSpace(bytes, at + 1, end);
  while (at < end && bytes[at] === 0x22) {
    const nameStart = at + 1;
    at = stringEnd(bytes, nameStart, end);
    if (at < 0) return null;
    const isWanted = unescapedName(utf8(bytes, nameStart, at - 1)) === name;
    at = skipSpace(bytes, at, end);
    if (bytes[at] !== 0x3a) return null;
    at = skipSpace(bytes, at + 1, end);
    if (isWanted) return at < end ? at : null;
    at = valueEnd(bytes, at, end);
    if (at < 0) return null;
    at = skipSpace(bytes, at, end);
    if (bytes[at] !== 0x2c) return null;
    at = skipSpace(bytes, at + 1, end);
  }
  return null;
}

/** Where the value of an element starts. */
function element(bytes: Uint8Array, at: number, end: number, index: number): number | null {
  if (bytes[at] !== 0x5b) return null;
  at = skipSpace(bytes, at + 1, end);
  for (let i = 0; at < end && bytes[at] !== 0x5d; i++) {
    if (i === index) return at;
    at = valueEnd(bytes, at, end);
    if (at < 0) return null;
    at = skipSpace(bytes, at, end);
    if (bytes[at] !== 0x2c) return null;
    at = skipSpace(bytes, at + 1, end);
  }
  return null;
}

/** The place after the value at `at`; -1 when it is broken. */
function valueEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return -1;
  const first = bytes[at];
  if (first === 0x22) return stringEnd(bytes, at + 1, end);
  if (first === 0x7b) return blockEnd(bytes, at, end, 0x7b, 0x7d);
  if (first === 0x5b) return blockEnd(bytes, at, end, 0x5b, 0x5d);
  const stop = tokenEnd(bytes, at, end);
  return stop >= 0 && isScalar(bytes, at, stop) ? stop : -1;
}

function unescapedName(text: string): string | null {
  if (!text.includes('\\')) return text;
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return null; // an escape that means nothing is no name
  }
}

const utf8 = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
