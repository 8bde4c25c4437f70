import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import {
  activeKey,
  activePrefix,
  createdMs,
  doneKey,
  donePrefix,
  encodeReplacement,
  familyOf,
  parseReplacementKey,
  type Replacement,
  type ReplacementClaim,
  type ReplacementNote,
  type ReplacementReason,
  readReplacements,
  type SegmentCatalog,
} from '../../storage/index/index.ts';
import { type ObjectStore, ObjectStoreError } from '../../storage/objectstore/index.ts';
import { newSegmentId, parseSegmentKey, segmentPrefix } from '../../storage/segment/index.ts';

/** Who claims must be done, or give up, so long before the claim ends: clocks differ. */
const MARGIN_MS = 15 * 60_000;
/** A note of the first release without its output is dead after this time. */
const EARLY_NOTE_MS = 3_600_000;
/** A note of which no output is there is dead after this time, should its sources be there. */
const MISSING_MS = 24 * 3_600_000;
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

export interface ClaimRequest {
  readonly tenant: string;
  /** In order of arrival. */
  readonly sources: readonly string[];
  readonly reason: ReplacementReason;
  /** How long the making of the outputs may take. */
  readonly workMs: number;
}

/** The claim has ended, or is about to: others may be at its sources. */
export class ClaimLostError extends Error {
  readonly code = 'claim_lost';
}

/**
 * Puts segments in the place of others so that, whatever stops it and whenever, every row is found once
 * (`storage/index/replacement.ts`): `claim`, store the outputs, `commit`. Several processes may do this over one store:
 * who finds another's note about a source after writing its own takes the own one back. Both may do so; then one of them
 * wins another time.
 */
export class Replacer {
  readonly #o: ReplacerOptions;
  /** By id of the note, when this process first knew that it counts. */
  readonly #countsSinceMs = new Map<string, number>();
  /** Notes that count, by output, as long as their sources may lie in the store. */
  readonly #byOutput = new Map<string, Replacement>();
  /** Notes of what replaced what that were read, by key. */
  #read = new Map<string, Replacement>();
  /** Claims of this process, by id; true while the work goes on. */
  readonly #own = new Map<string, boolean>();
  #busy = new Set<string>();
  #lastId = '';
  #purgedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReplacerOptions) {
    this.#o = options;
  }

  /** Whether a replacement of the segment is under way, by anybody. As of the last `settle`. */
  isBusy(key: string): boolean {
    return this.#busy.has(key);
  }

  /**
   * Null when another process is at these sources. Ends with `commit` or `withdraw`. Throws ObjectStoreError; what the
   * store then has is found out by `settle`.
   */
  async claim(request: ClaimRequest, signal: AbortSignal): Promise<ReplacementClaim | null> {
    const { store, clock } = this.#o;
    const { tenant, reason, workMs } = request;
    const now = clock.nowMs();
    const ancestors = request.sources.flatMap((key) => this.#byOutput.get(key) ?? []);
    const last = parseSegmentKey(request.sources.at(-1)!)!.id;
    const claim: ReplacementClaim = {
      kind: 'claim',
      tenant,
      id: this.#newId(now),
      // Those of the sources too, which may still lie in the store: with the sources gone they would count again.
      sources: [...new Set([...request.sources, ...ancestors.flatMap((note) => note.sources)])],
      reason,
      // In order of arrival the outputs stand where the last source stood.
      idPrefix: last.slice(0, 12) + newSegmentId(now).slice(12, 24),
      untilMs: now + workMs + 2 * MARGIN_MS,
    };
    this.#own.set(claim.id, true);
    for (const key of request.sources) this.#busy.add(key);
    try {
      await store.put(activeKey(claim), [encodeReplacement(claim)], signal);
      if (!(await this.#isContended(claim, request.sources))) return claim;
      await store.delete(activeKey(claim));
    } catch (error: unknown) {
      this.#own.set(claim.id, false);
      throw error;
    }
    this.#own.delete(claim.id);
    return null;
  }

  /**
   * From here on the outputs, which are in the store, stand for the sources. Throws ClaimLostError, and ObjectStoreError;
   * whether it is done then is found out by `settle`.
   */
  async commit(claim: ReplacementClaim, outputs: readonly string[], signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#o;
    const { tenant, id, sources, reason, untilMs } = claim;
    this.#own.set(id, false);
    if (clock.nowMs() > untilMs - MARGIN_MS) throw new ClaimLostError('merging took longer than it may');
    const note: Replacement = { kind: 'replacement', tenant, id, sources, reason, outputs, isEarly: false };
    await store.put(activeKey(note), [encodeReplacement(note)], signal);
    this.#own.delete(id);
    this.#takeOver(note);
  }

  /**
   * Gives a claim up, and removes what was stored for it; null: that is looked for. Nothing may be stored for it any more.
   * Throws ObjectStoreError.
   */
  async withdraw(claim: ReplacementClaim, outputs: readonly string[] | null = null): Promise<void> {
    const { store } = this.#o;
    this.#own.set(claim.id, false);
    // The outputs first: without the claim they would count.
    for (const key of outputs ?? (await this.#outputsOf(claim))) await store.delete(key);
    await store.delete(activeKey(claim));
    this.#own.delete(claim.id);
    for (const key of claim.sources) this.#busy.delete(key);
  }

  async #outputsOf({ tenant, idPrefix }: ReplacementClaim): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of this.#o.store.list(segmentPrefix(tenant))) {
      const parts = parseSegmentKey(key);
      if (parts !== null && familyOf(parts.id) === idPrefix) found.push(key);
    }
    return found;
  }

  /** Ids of this process ascend, also within a millisecond. */
  #newId(nowMs: number): string {
    const id = newSegmentId(nowMs);
    this.#lastId = id > this.#lastId ? id : newSegmentId(createdMs(this.#lastId) + 1);
    return this.#lastId;
  }

  /**
   * Whether a note that this process has not taken over is about the sources. Those taken over are not: what they replaced
   * is not chosen again, and several notes may name a source of a segment that they all descend from.
   */
  async #isContended({ tenant, id }: ReplacementClaim, sources: readonly string[]): Promise<boolean> {
    const own = new Set(sources);
    const notes = await this.#notes(activePrefix(tenant));
    return notes.some((note) => {
      if (note.id === id || this.#countsSinceMs.has(note.id)) return false;
      const keys = note.kind === 'replacement' ? [...note.sources, ...note.outputs] : note.sources;
      return keys.some((key) => own.has(key));
    });
  }

  #takeOver(note: Replacement): void {
    const { catalog, clock } = this.#o;
    this.#countsSinceMs.set(note.id, clock.nowMs());
    for (const output of note.outputs) this.#byOutput.set(output, note);
    // Those that others stand for by now stay replaced.
    catalog.replace(note.sources, note.outputs);
  }

  /**
   * Brings every note one step further: takes over what counts, removes sources that no query reads any more, and drops
   * claims that came to nothing. Throws ObjectStoreError.
   */
  async settle(): Promise<void> {
    const { clock, graceMs } = this.#o;
    const busy = new Set<string>();
    const notes = await this.#notes(activePrefix());
    this.#read = new Map(notes.flatMap((note) => (note.kind === 'claim' ? [] : [[activeKey(note), note] as const])));
    const counting: Replacement[] = [];
    for (const note of notes) {
      if (note.kind === 'claim') {
        const isDead = this.#own.get(note.id) === false || clock.nowMs() > note.untilMs;
        if (isDead) await this.withdraw(note);
        else for (const key of note.sources) busy.add(key);
      } else if (await this.#counts(note)) counting.push(note);
      else if (note.isEarly && clock.nowMs() - createdMs(note.id) > EARLY_NOTE_MS) await this.#withdrawEarly(note);
      else {
        for (const key of [...note.sources, ...note.outputs]) busy.add(key);
        if (!note.isEarly) await this.#lookAfterMissing(note);
      }
    }
    for (const note of inOrderOfMaking(counting)) {
      if (!this.#countsSinceMs.has(note.id)) this.#takeOver(note);
    }
    const unfinished = new Set(counting.flatMap((note) => note.outputs));
    for (const note of inOrderOfMaking(counting)) {
      const isDue = clock.nowMs() - this.#countsSinceMs.get(note.id)! >= graceMs(note);
      // What a listing has not got of a note's outputs tells that they do not count, as long as the note is there.
      if (!isDue || note.sources.some((key) => unfinished.has(key))) continue;
      await this.#finish(note);
      for (const output of note.outputs) unfinished.delete(output);
    }
    this.#busy = busy;
    await this.#purge();
  }

  async #counts({ tenant, outputs }: Replacement): Promise<boolean> {
    const visible = new Set(this.#o.catalog.segments(tenant).map(({ key }) => key));
    for (const output of outputs) if (!visible.has(output) && !(await this.#isThere(output))) return false;
    return true;
  }

  async #isThere(key: string): Promise<boolean> {
    try {
      await this.#o.store.head(key);
      return true;
    } catch (error: unknown) {
      if (error instanceof ObjectStoreError && error.code === 'not_found') return false;
      throw error;
    }
  }

  /** Its sources count, and stay. */
  async #lookAfterMissing(note: Replacement): Promise<void> {
    const { store, clock, logger } = this.#o;
    const known = await Promise.all(note.outputs.map((key) => this.#isThere(key)));
    if (!(await this.#isThere(activeKey(note)))) return; // another process has carried it out meanwhile
    const isOld = clock.nowMs() - createdMs(note.id) > MISSING_MS;
    if (isOld && !known.includes(true) && (await this.#hasAny(note.sources))) {
      // Written after the claim was withdrawn: what was there has been removed by that.
      await store.delete(activeKey(note));
      return;
    }
    const fields = { note: activeKey(note) };
    logger.error('segments that stand for others are not in the object store; those others are used', fields);
  }

  async #hasAny(keys: readonly string[]): Promise<boolean> {
    for (const key of keys) if (await this.#isThere(key)) return true;
    return false;
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
    for (const output of note.outputs) this.#byOutput.delete(output);
  }

  /** The output first: with it in the store the note would count. */
  async #withdrawEarly(note: Replacement): Promise<void> {
    for (const output of note.outputs) await this.#o.store.delete(output);
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

  async #notes(prefix: string): Promise<ReplacementNote[]> {
    const { store, logger } = this.#o;
    const onCorrupt = (err: Error) => logger.error('note of a compaction cannot be read and is left alone', { err });
    const notes = await readReplacements(store, prefix, onCorrupt, undefined, this.#read);
    for (const note of notes) if (note.kind !== 'claim') this.#read.set(activeKey(note), note);
    return notes;
  }
}

/** One whose sources another one made comes after it; ids need not tell, with clocks of several processes. */
function inOrderOfMaking(notes: readonly Replacement[]): Replacement[] {
  const makers = new Map(notes.flatMap((note) => note.outputs.map((output) => [output, note] as const)));
  const ordered = new Set<Replacement>();
  const visiting = new Set<Replacement>();
  const visit = (note: Replacement): void => {
    if (ordered.has(note) || visiting.has(note)) return;
    visiting.add(note);
    for (const source of note.sources) {
      const maker = makers.get(source);
      if (maker) visit(maker);
    }
    ordered.add(note);
  };
  for (const note of notes) visit(note);
  return [...ordered];
}
