import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import {
  activeKey,
  activePrefix,
  createdMs,
  doneKey,
  donePrefix,
  encodeReplacement,
  parseReplacementKey,
  type Replacement,
  type ReplacementReason,
  readReplacements,
  type SegmentCatalog,
} from '../../storage/index/index.ts';
import { type ObjectStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { newSegmentId } from '../../storage/segment/index.ts';

/** A segment that is ready to be stored. */
export interface Output {
  readonly key: string;
  readonly pieces: readonly Uint8Array[];
}

/** The store must have taken an output within this time. */
const PUT_MS = 15 * 60_000;
/** A note without its output is dead after this time: whoever wrote it has given up long before. */
const CLAIM_MS = 4 * PUT_MS;
/** How long notes tell what became of segments: longer than an ingester may be down with a flush in its log. */
const KEEP_NOTES_MS = 7 * 24 * 3_600_000;
const PURGE_EVERY_MS = 3_600_000;
const DELETES_AT_ONCE = 16;

export interface ReplacerOptions {
  readonly store: ObjectStore;
  readonly catalog: SegmentCatalog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long sources stay readable for queries under way. */
  readonly graceMs: (replacement: Replacement) => number;
}

/**
 * Puts segments in the place of others so that, whatever stops it and whenever, every row is found once: a note names
 * the sources, the output's PUT makes it count (`storage/index/replacement.ts`). Several processes may do this over one
 * store: who finds another's note about a source after writing its own takes the own one back. Both may do so; then
 * one of them wins another time.
 */
export class Replacer {
  readonly #o: ReplacerOptions;
  /** By id of the note, when this process first knew that it counts. */
  readonly #countsSinceMs = new Map<string, number>();
  /** Notes that count, by output, as long as their sources may lie in the store. */
  readonly #byOutput = new Map<string, Replacement>();
  /** Notes that were read, by key. */
  #read = new Map<string, Replacement>();
  #busy = new Set<string>();
  #purgedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReplacerOptions) {
    this.#o = options;
  }

  /** Whether a replacement of the segment is under way, by anybody. As of the last `settle`. */
  isBusy(key: string): boolean {
    return this.#busy.has(key);
  }

  /**
   * False when another process is at these sources. Throws ObjectStoreError; what the store then has is found out by
   * `settle`.
   */
  async replace(
    tenant: string,
    sources: readonly string[],
    output: Output | null,
    reason: ReplacementReason,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { store, clock } = this.#o;
    const id = newSegmentId(clock.nowMs());
    const ancestors = this.#ancestorsOf(sources);
    const all = [...sources, ...ancestors.flatMap((note) => note.sources)];
    const note: Replacement = { tenant, id, output: output?.key ?? null, sources: all, reason };
    for (const key of sources) this.#busy.add(key);
    await store.put(activeKey(note), [encodeReplacement(note)], signal);
    if (await this.#isContended(note, new Set([id, ...ancestors.map((ancestor) => ancestor.id)]))) {
      await store.delete(activeKey(note));
      return false;
    }
    if (output !== null) {
      await store.put(output.key, output.pieces, AbortSignal.any([signal, AbortSignal.timeout(PUT_MS)]));
    }
    this.#takeOver(note);
    return true;
  }

  /**
   * Notes about how the sources themselves came to be, whose own sources may still be there: with an output gone those
   * would count again, so the new note hides them too.
   */
  #ancestorsOf(sources: readonly string[]): Replacement[] {
    return sources.flatMap((key) => this.#byOutput.get(key) ?? []);
  }

  async #isContended({ tenant, sources }: Replacement, known: ReadonlySet<string>): Promise<boolean> {
    const own = new Set(sources);
    const others = (await this.#notes(activePrefix(tenant))).filter(({ id }) => !known.has(id));
    return others.some((other) => other.sources.some((key) => own.has(key)) || own.has(other.output ?? ''));
  }

  #takeOver(note: Replacement): void {
    const { catalog, clock } = this.#o;
    this.#countsSinceMs.set(note.id, clock.nowMs());
    if (note.output !== null) this.#byOutput.set(note.output, note);
    catalog.replace(note.sources, note.output);
  }

  /**
   * Brings every note one step further: takes over what counts, removes sources that no query reads any more, and drops
   * notes that came to nothing. Throws ObjectStoreError.
   */
  async settle(): Promise<void> {
    const { clock, graceMs } = this.#o;
    const busy = new Set<string>();
    const notes = await this.#notes(activePrefix());
    this.#read = new Map(notes.map((note) => [activeKey(note), note]));
    for (const note of notes) {
      const now = clock.nowMs();
      if (await this.#counts(note)) {
        if (!this.#countsSinceMs.has(note.id)) this.#takeOver(note);
        if (now - this.#countsSinceMs.get(note.id)! >= graceMs(note)) await this.#finish(note);
      } else if (now - createdMs(note.id) > CLAIM_MS) await this.#withdraw(note);
      else for (const key of note.sources) busy.add(key);
    }
    this.#busy = busy;
    await this.#purge();
  }

  async #counts({ tenant, output }: Replacement): Promise<boolean> {
    const { store, catalog } = this.#o;
    if (output === null || catalog.segments(tenant).some(({ key }) => key === output)) return true;
    try {
      await store.head(output);
      return true;
    } catch (error: unknown) {
      if (error instanceof ObjectStoreError && error.code === 'not_found') return false;
      throw error;
    }
  }

  async #finish(note: Replacement): Promise<void> {
    const { store, catalog } = this.#o;
    for (let from = 0; from < note.sources.length; from += DELETES_AT_ONCE) {
      await Promise.all(note.sources.slice(from, from + DELETES_AT_ONCE).map((key) => store.delete(key)));
    }
    await store.put(doneKey(note), [encodeReplacement(note)]);
    await store.delete(activeKey(note));
    catalog.forgetReplaced(note.sources);
    this.#countsSinceMs.delete(note.id);
    if (note.output !== null) this.#byOutput.delete(note.output);
  }

  /** The output first: with it in the store the note would count. */
  async #withdraw(note: Replacement): Promise<void> {
    if (note.output !== null) await this.#o.store.delete(note.output);
    await this.#o.store.delete(activeKey(note));
  }

  async #purge(): Promise<void> {
    const { store, clock } = this.#o;
    const now = clock.nowMs();
    if (now - this.#purgedMs < PURGE_EVERY_MS) return;
    for await (const { key } of store.list(donePrefix())) {
      const parts = parseReplacementKey(key);
      if (parts !== null && now - createdMs(parts.id) > KEEP_NOTES_MS) await store.delete(key);
    }
    this.#purgedMs = now;
  }

  async #notes(prefix: string): Promise<Replacement[]> {
    const { store, logger } = this.#o;
    const onCorrupt = (err: Error) => logger.error('note of a compaction cannot be read and is left alone', { err });
    const notes = await readReplacements(store, prefix, onCorrupt, undefined, this.#read);
    for (const note of notes) this.#read.set(activeKey(note), note);
    return notes;
  }
}
