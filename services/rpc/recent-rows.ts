import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { RecentFigures, RecentRequest, RecentStream } from './ingester.ts';
import type { StreamBatch } from './push-batch.ts';

/**
 * Rows that are not yet in the object store, of all ingesters together.
 *
 * Ask here first and the catalog afterwards: once a question is answered, the catalog of this process knows every
 * segment with acknowledged rows that the answer lacks. A row may well be in both, and in the answers of several
 * ingesters: blocks of one stream that overlap in time are read together, and equal rows then count once.
 *
 * All reject with RingError when too few ingesters can be asked, with the first ingester's error when too few answer, and
 * with the signal's reason.
 */
export interface RecentRows {
  /** What each ingester has that answered, as many as are needed for every acknowledged row to be among it. */
  recent(request: RecentRequest, signal?: AbortSignal): Promise<readonly (readonly RecentStream[])[]>;
  /** Labels of the streams that `recent` finds; those of one stream may come several times. */
  series(request: RecentRequest, signal?: AbortSignal): Promise<readonly Labels[]>;
  /** Names of their labels, in no order, perhaps repeated. */
  labelNames(request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]>;
  /** Values of one of their labels, in no order, perhaps repeated. */
  labelValues(name: string, request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]>;
  /** Sums over the answers: what several ingesters have counts several times. */
  stats(request: RecentRequest, signal?: AbortSignal): Promise<RecentFigures>;
  /**
   * Calls `onRows` for each accepted push of a matching stream until the returned function is called, also of ingesters
   * that come later. The rows may only be looked at during the call. Never fails: who cannot be followed is tried again.
   */
  tail(tenant: string, matchers: readonly Matcher[], onRows: (labels: Labels, rows: StreamBatch) => void): () => void;
  /** Whether a tail may get one row several times, from several ingesters. */
  readonly repeats: boolean;
}

/**
 * How long an ingester names a segment that it has stored, in each of its answers. A reader's listing of the store must
 * be younger than that, and a compactor must leave a note that replaces a segment in its place for longer: while a
 * segment is named, who hears of it must be able to see that it no longer counts.
 */
export const SEGMENT_NAMED_MS = 15 * 60_000;
