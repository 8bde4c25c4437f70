/**
 * The compactor's notes about segments that take the place of others.
 *
 *     compactions/<tenant>/<id>.json    sources may still lie in the store
 *     compacted/<tenant>/<id>.json      sources are gone; kept for a while to tell what became of them
 *
 * A note is first a claim, before anything is written; then, in its place, it names what was written. The PUT of that
 * second form is the moment from which the outputs count and the sources do not.
 *
 *     { "claim": first digits of the outputs' ids, "until": ms since 1970, "sources": [key…], "reason": … }
 *     { "outputs": [key…], "sources": [key…], "reason": "compaction" | "retention" | "delete" }
 *
 * `id` begins with the milliseconds since 1970 when the note was written, as a segment's does. Without outputs the
 * sources are dropped. Notes of the first release name one `"output"`, a key or null, and are written before it; they
 * are read as the second form, which counts only with its outputs in the store.
 */
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import { decodeTenant, encodeTenant } from '../segment/index.ts';

export type ReplacementReason = 'compaction' | 'retention' | 'delete';

interface Note {
  readonly tenant: string;
  readonly id: string;
  readonly sources: readonly string[];
  readonly reason: ReplacementReason;
}

/** Somebody is making segments that are to replace the sources: neither hides them yet. */
export interface ReplacementClaim extends Note {
  readonly kind: 'claim';
  /** Ids of the outputs begin with it, those of no other segment do. They do not count. */
  readonly idPrefix: string;
  /** Who claims has either put the second form in the claim's place by then, or given up. ms since 1970. */
  readonly untilMs: number;
}

/** The outputs, once all of them are in the store, stand for the sources. */
export interface Replacement extends Note {
  readonly kind: 'replacement';
  readonly outputs: readonly string[];
  /** Written before its output, as the first release did: without it the note may come to nothing. */
  readonly isEarly: boolean;
}

export type ReplacementNote = ReplacementClaim | Replacement;

/** A note that is none. */
export class CorruptReplacementError extends Error {
  readonly code = 'corrupt_replacement';
  readonly key: string;
  constructor(key: string, options?: ErrorOptions) {
    super(`${key} is not the note of a compaction`, options);
    this.key = key;
  }
}

const ACTIVE = 'compactions/';
const DONE = 'compacted/';
const KEY = /^compact(?:ions|ed)\/([^/]+)\/([0-9a-f]{28})\.json$/;
const ID_PREFIX = /^[0-9a-f]{24}$/;
const READS_AT_ONCE = 16;

export function activePrefix(tenant?: string): string {
  return tenant === undefined ? ACTIVE : `${ACTIVE}${encodeTenant(tenant)}/`;
}
export function donePrefix(tenant?: string): string {
  return tenant === undefined ? DONE : `${DONE}${encodeTenant(tenant)}/`;
}
export function activeKey({ tenant, id }: Pick<Note, 'tenant' | 'id'>): string {
  return `${activePrefix(tenant)}${id}.json`;
}
export function doneKey({ tenant, id }: Pick<Note, 'tenant' | 'id'>): string {
  return `${donePrefix(tenant)}${id}.json`;
}

/** Milliseconds since 1970 when a note or a segment of this id was made. */
export function createdMs(id: string): number {
  return Number.parseInt(id.slice(0, 12), 16);
}

/** What the ids of segments that were made together begin with; those of all others differ in it. */
export function familyOf(segmentId: string): string {
  return segmentId.slice(0, 24);
}

/** Null for what is not the key of a note. */
export function parseReplacementKey(key: string): { readonly tenant: string; readonly id: string } | null {
  const match = KEY.exec(key);
  const tenant = match === null ? null : decodeTenant(match[1]!);
  return tenant === null ? null : { tenant, id: match![2]! };
}

export function encodeReplacement(note: ReplacementNote): Buffer {
  const { sources, reason } = note;
  return Buffer.from(
    JSON.stringify(
      note.kind === 'claim'
        ? { claim: note.idPrefix, until: note.untilMs, sources, reason }
        : { outputs: note.outputs, sources, reason },
    ),
  );
}

/**
 * Every note below `prefix`, oldest first. One that goes away while it is read is left out: its sources are gone. So is a
 * corrupt one, which `onCorrupt` is told of: queries then see repetitions in sources and outputs, and count them once.
 * Throws ObjectStoreError.
 */
export async function readReplacements(
  store: ObjectStore,
  prefix: string,
  onCorrupt: (error: CorruptReplacementError) => void,
  signal?: AbortSignal,
  /** Notes by their key, which are not read again. Claims must not be among them: they change. */
  known: ReadonlyMap<string, Replacement> = new Map(),
): Promise<ReplacementNote[]> {
  const keys: string[] = [];
  const found: ReplacementNote[] = [];
  for await (const { key } of store.list(prefix, signal)) {
    const one = known.get(key);
    if (one) found.push(one);
    else keys.push(key);
  }
  for (let from = 0; from < keys.length; from += READS_AT_ONCE) {
    const some = await Promise.all(keys.slice(from, from + READS_AT_ONCE).map((key) => readOne(store, key, signal)));
    for (const one of some) {
      if (one instanceof CorruptReplacementError) onCorrupt(one);
      else if (one) found.push(one);
    }
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Whether a segment of this id was there and has been replaced or dropped. */
export async function wasReplaced(
  store: ObjectStore,
  tenant: string,
  segmentId: string,
  onCorrupt: (error: CorruptReplacementError) => void,
): Promise<boolean> {
  for (const prefix of [activePrefix(tenant), donePrefix(tenant)]) {
    for (const { sources } of await readReplacements(store, prefix, onCorrupt)) {
      if (sources.some((key) => key.includes(`-${segmentId}-`))) return true;
    }
  }
  return false;
}

async function readOne(
  store: ObjectStore,
  key: string,
  signal?: AbortSignal,
): Promise<ReplacementNote | CorruptReplacementError | null> {
  const parts = parseReplacementKey(key);
  if (parts === null) return new CorruptReplacementError(key);
  let bytes: Uint8Array;
  try {
    bytes = await store.get(key, undefined, signal);
  } catch (error: unknown) {
    if (error instanceof ObjectStoreError && error.code === 'not_found') return null;
    throw error;
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    return decodeNote(parts, value);
  } catch (cause: unknown) {
    return new CorruptReplacementError(key, { cause });
  }
}

function decodeNote(parts: Pick<Note, 'tenant' | 'id'>, value: unknown): ReplacementNote {
  if (typeof value !== 'object' || value === null) throw new TypeError('not an object');
  const { claim, until, outputs, output, sources, reason } = value as Record<string, unknown>;
  if (!isTexts(sources)) throw new TypeError('without sources');
  if (reason !== 'compaction' && reason !== 'retention' && reason !== 'delete') throw new TypeError('without a reason');
  const note = { ...parts, sources, reason } as const;
  if (typeof claim === 'string') {
    if (!ID_PREFIX.test(claim) || !Number.isSafeInteger(until)) throw new TypeError('not a claim');
    return { ...note, kind: 'claim', idPrefix: claim, untilMs: until as number };
  }
  if (isTexts(outputs)) return { ...note, kind: 'replacement', outputs, isEarly: false };
  if (output === null) return { ...note, kind: 'replacement', outputs: [], isEarly: true };
  if (typeof output === 'string') return { ...note, kind: 'replacement', outputs: [output], isEarly: true };
  throw new TypeError('without outputs');
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

export interface Exchange {
  /** Keys of segments that others stand for. */
  readonly replaced: Set<string>;
  /** Keys of segments that do not stand for their sources yet, or never will. */
  readonly unfinished: Set<string>;
}

/**
 * What a listing of segments shows, given the notes that were there before it and those after it: others may replace
 * segments meanwhile. A note that is there afterwards has its sources in the store, and its outputs count when the
 * listing has all of them; sources are kept for longer than a listing takes. One that has gone meanwhile was carried out
 * to its end, or was a claim that came to nothing.
 */
export function exchangeOf(
  listed: ReadonlyMap<string, string>,
  before: readonly ReplacementNote[],
  after: readonly ReplacementNote[],
): Exchange {
  const replaced = new Set<string>();
  const unfinished = new Set<string>();
  const latest = new Map([...before, ...after].map((note) => [activeKey(note), note]));
  const isThere = new Set(after.map(activeKey));
  const claimed = new Set<string>();
  for (const [key, note] of latest) {
    if (note.kind === 'claim') claimed.add(note.idPrefix);
    else if (note.outputs.every((output) => listed.has(output)) || (!isThere.has(key) && !note.isEarly)) {
      for (const source of note.sources) replaced.add(source);
    } else for (const output of note.outputs) unfinished.add(output);
  }
  if (claimed.size > 0) for (const [key, id] of listed) if (claimed.has(familyOf(id))) unfinished.add(key);
  return { replaced, unfinished };
}
