/**
 * The compactor's notes about segments that take the place of others. A note is written before the segment that it is
 * about: that segment's own PUT is the moment from which it counts and its sources do not.
 *
 *     compactions/<tenant>/<id>.json    sources may still lie in the store
 *     compacted/<tenant>/<id>.json      sources are gone; kept for a while to tell what became of them
 *
 *     { "output": key or null, "sources": [key…], "reason": "compaction" | "retention" | "delete" }
 *
 * `id` begins with the milliseconds since 1970 when the note was written, as a segment's does. Without an output the
 * sources are dropped, and the note's own PUT is the moment.
 */
import { type ObjectStore, ObjectStoreError } from '../objectstore/index.ts';
import { decodeTenant, encodeTenant } from '../segment/index.ts';

export type ReplacementReason = 'compaction' | 'retention' | 'delete';

export interface Replacement {
  readonly tenant: string;
  readonly id: string;
  readonly output: string | null;
  readonly sources: readonly string[];
  readonly reason: ReplacementReason;
}

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
const READS_AT_ONCE = 16;

export function activePrefix(tenant?: string): string {
  return tenant === undefined ? ACTIVE : `${ACTIVE}${encodeTenant(tenant)}/`;
}
export function donePrefix(tenant?: string): string {
  return tenant === undefined ? DONE : `${DONE}${encodeTenant(tenant)}/`;
}
export function activeKey({ tenant, id }: Pick<Replacement, 'tenant' | 'id'>): string {
  return `${activePrefix(tenant)}${id}.json`;
}
export function doneKey({ tenant, id }: Pick<Replacement, 'tenant' | 'id'>): string {
  return `${donePrefix(tenant)}${id}.json`;
}

/** Milliseconds since 1970 when a note or a segment of this id was made. */
export function createdMs(id: string): number {
  return Number.parseInt(id.slice(0, 12), 16);
}

/** Null for what is not the key of a note. */
export function parseReplacementKey(key: string): { readonly tenant: string; readonly id: string } | null {
  const match = KEY.exec(key);
  const tenant = match === null ? null : decodeTenant(match[1]!);
  return tenant === null ? null : { tenant, id: match![2]! };
}

export function encodeReplacement({ output, sources, reason }: Replacement): Buffer {
  return Buffer.from(JSON.stringify({ output, sources, reason }));
}

/**
 * Every note below `prefix`, oldest first. One that goes away while it is read is left out: its sources are gone. So is a
 * corrupt one, which `onCorrupt` is told of: queries then see repetitions in sources and output, and count them once.
 * Throws ObjectStoreError.
 */
export async function readReplacements(
  store: ObjectStore,
  prefix: string,
  onCorrupt: (error: CorruptReplacementError) => void,
  signal?: AbortSignal,
  /** Notes by their key, which are not read again: they never change. */
  known: ReadonlyMap<string, Replacement> = new Map(),
): Promise<Replacement[]> {
  const keys: string[] = [];
  const found: Replacement[] = [];
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
): Promise<Replacement | CorruptReplacementError | null> {
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
    if (!isNote(value)) throw new TypeError('not of the form of a note');
    return { ...parts, output: value.output, sources: value.sources, reason: value.reason };
  } catch (cause: unknown) {
    return new CorruptReplacementError(key, { cause });
  }
}

function isNote(value: unknown): value is Pick<Replacement, 'output' | 'sources' | 'reason'> {
  if (typeof value !== 'object' || value === null) return false;
  const { output, sources, reason } = value as Record<string, unknown>;
  return (
    (output === null || typeof output === 'string') &&
    Array.isArray(sources) &&
    sources.every((key) => typeof key === 'string') &&
    (reason === 'compaction' || reason === 'retention' || reason === 'delete')
  );
}
