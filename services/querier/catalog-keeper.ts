import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import { SEGMENT_NAMED_MS } from '../rpc/recent-rows.ts';
import type { HeldDeletes } from './held-deletes.ts';

/**
 * Keeps the catalog of a process true that does not write all segments itself. Three things can be learned, by what they
 * cost:
 *
 * - What ingesters stored lately they name in each of their answers (`RecentRows`), for SEGMENT_NAMED_MS.
 * - What the compactor replaced stands in its notes. They are read every `refreshEveryMs`, so that nobody goes on to
 *   read objects that are removed `query_timeout` and a minute after the note was written.
 * - Everything else takes a listing of all segments. A query needs one that is younger than the time for which
 *   ingesters name what they stored, and one from after an ingester has gone: nobody names what that one stored last.
 *
 * Delete requests are read before the catalog, and those that were carried out hide rows until the catalog is newer.
 */
export interface CatalogKeeperOptions {
  readonly catalog: { refresh(): Promise<void>; refreshReplaced(): Promise<void> };
  /** The ingesters that the ring knows of, one text each, another one when an ingester has started again. */
  readonly members: () => readonly string[];
  /** Absent where deletes are off. */
  readonly deletes?: HeldDeletes;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Notes and delete requests are read so often. */
  readonly refreshEveryMs?: number;
  /** All segments are listed so often. */
  readonly listEveryMs?: number;
}

const REFRESH_EVERY_MS = 15_000;
const LIST_EVERY_MS = 5 * 60_000;
/**
 * Of a query's catalog. Replaced segments are removed a minute and `query_timeout` after their note was written, at the
 * earliest; who last looked at notes before that may not find them any more, and lists everything.
 */
const MAX_NOTES_AGE_MS = 45_000;
const MAX_PAUSE_MS = 60_000;
/** The rest of the time is for the answers of ingesters to arrive, and for the listing itself. */
const MAX_LISTING_AGE_MS = SEGMENT_NAMED_MS - 5 * 60_000;

type Need = 'nothing' | 'notes' | 'listing';

interface Run {
  readonly promise: Promise<void>;
  readonly lists: boolean;
  /** Of departures that were known when it began. */
  readonly departures: number;
}

export class CatalogKeeper {
  readonly #o: CatalogKeeperOptions;
  readonly #ending = new AbortController();
  #loop: Promise<void> = Promise.resolve();
  #run: Run | null = null;
  /** When the last look that succeeded began. */
  #notesMs = Number.NEGATIVE_INFINITY;
  #listedMs = Number.NEGATIVE_INFINITY;
  #members: ReadonlySet<string> = new Set();
  /** How many times ingesters were seen to have gone, and how many of those the last listing came after. */
  #departures = 0;
  #listedDepartures = 0;
  #isFailing = false;

  constructor(options: CatalogKeeperOptions) {
    this.#o = options;
  }

  /** Lists the segments, and then looks after them. Throws ObjectStoreError. */
  async start(): Promise<void> {
    await this.#refresh(true);
    this.#loop = this.#refreshForEver();
  }

  async stop(): Promise<void> {
    this.#ending.abort(new Error('the catalog is looked after no more'));
    await this.#loop;
  }

  /**
   * Resolves once the catalog is new enough for a query whose ingesters have answered: mostly at once. Queries that must
   * wait share one look at the store. Throws ObjectStoreError.
   */
  async fresh(): Promise<void> {
    for (let need = this.#need(); need !== 'nothing'; need = this.#need()) {
      const run = this.#run;
      if (run === null) await this.#refresh(need === 'listing');
      else if (need === 'notes' || (run.lists && run.departures === this.#departures)) await run.promise;
      else await run.promise.catch(() => {}); // it was told to those who waited for it, and is of no use here
    }
  }

  #need(): Need {
    const now = this.#o.clock.nowMs();
    this.#lookAtMembers();
    if (this.#departures > this.#listedDepartures || isOlder(this.#listedMs, MAX_LISTING_AGE_MS, now)) return 'listing';
    return isOlder(this.#notesMs, MAX_NOTES_AGE_MS, now) ? 'notes' : 'nothing';
  }

  #lookAtMembers(): void {
    const members = new Set(this.#o.members());
    if (!this.#members.isSubsetOf(members)) this.#departures++;
    this.#members = members;
  }

  async #refreshForEver(): Promise<void> {
    const { clock, refreshEveryMs = REFRESH_EVERY_MS, listEveryMs = LIST_EVERY_MS } = this.#o;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await clock.sleep(refreshEveryMs, signal);
        if (this.#run === null) await this.#refresh(isOlder(this.#listedMs, listEveryMs - 1, clock.nowMs()));
      } catch (err: unknown) {
        if (signal.aborted) return;
        if (!this.#isFailing) this.#o.logger.error('the segments of the object store cannot be listed', { err });
        this.#isFailing = true;
      }
    }
  }

  /** One look at a time. */
  #refresh(lists: boolean): Promise<void> {
    const startedMs = this.#o.clock.nowMs();
    this.#lookAtMembers();
    const departures = this.#departures;
    const mustList = lists || departures > this.#listedDepartures || isOlder(this.#notesMs, MAX_PAUSE_MS, startedMs);
    const promise = this.#look(mustList)
      .then(() => {
        this.#notesMs = startedMs;
        if (!mustList) return;
        this.#listedMs = startedMs;
        this.#listedDepartures = departures;
      })
      .finally(() => {
        this.#run = null;
      });
    this.#run = { promise, lists: mustList, departures };
    return promise;
  }

  async #look(lists: boolean): Promise<void> {
    const { catalog, deletes, logger } = this.#o;
    await deletes?.load();
    await (lists ? catalog.refresh() : catalog.refreshReplaced());
    deletes?.release();
    if (this.#isFailing) logger.info('the segments of the object store can be listed again');
    this.#isFailing = false;
  }
}

/** A time that is yet to come is older than anything: the clock was put back, nobody knows by how much. */
function isOlder(sinceMs: number, ageMs: number, nowMs: number): boolean {
  return nowMs - sinceMs > ageMs || nowMs < sinceMs;
}
