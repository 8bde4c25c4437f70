import { setImmediate } from 'node:timers/promises';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { RowCondition } from '../../logql/plan/index.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import type { Expr, Matcher } from '../../logql/syntax/ast.ts';
import type { DeleteRule } from '../../storage/compaction/index.ts';
import { compileFilterTest } from '../../storage/filter/index.ts';
import type { SegmentCatalog } from '../../storage/index/index.ts';
import { TENANT_LABEL } from '../../storage/scan/tenant-label.ts';
import { type BlockRef, headRef, memoryRef, storedRef } from '../../storage/scan/units.ts';
import type { Tenants } from '../http/types.ts';
import type { DeleteSource } from '../rpc/deletes.ts';
import type { ReadLease } from '../rpc/read-lease.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import { BadRequestError } from './params.ts';
import { selectorsOf } from './query-limits.ts';
import type { QueryStats } from './stats.ts';

/** Streams that are looked at before others get a turn of the main thread. */
const STREAMS_A_TURN = 2000;

const NO_POSITIVE_MATCHER =
  'parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. ' +
  'For instance, app=~".*" does not meet this requirement, but app=~".+" will';

export interface Sources {
  readonly catalog: SegmentCatalog;
  readonly recent: RecentRows;
  /** Absent where deletes are off. */
  readonly deletes?: DeleteSource;
}

export interface Selection {
  readonly tenants: Tenants;
  readonly matchers: readonly Matcher[];
  /**
   * What a matcher on the tenant label does in a federated read. Of metric queries Loki looks for the label among those
   * of the stream, and then finds nothing.
   */
  readonly tenantMatchers: 'choose' | 'ignore';
  readonly startNs: bigint;
  /** Inclusive. */
  readonly endNs: bigint;
  /** What every row that counts satisfies; blocks that cannot have one are left out. */
  readonly condition?: RowCondition | null;
}

/** Who looks at what is selected. */
export interface Reader {
  /** Blocks may be looked at until it ends. */
  readonly lease: ReadLease;
  readonly signal?: AbortSignal | undefined;
}

/** A stream that matches and where its rows lie, blocks in order of arrival. */
export interface SelectedStream {
  /** The stream's own labels. */
  readonly labels: Labels;
  /** Set in a federated read: the answer names it, stages do not see it. */
  readonly tenant: string | null;
  readonly blocks: readonly BlockRef[];
  /** Requests that hide some of the rows; absent for none. */
  readonly deletes?: readonly DeleteRule[];
}

/**
 * The tenants that a federated read is about, and the matchers left for their streams: matchers on the tenant label
 * choose tenants and never reach an index.
 */
export function resolveTenants(
  tenants: Tenants,
  matchers: readonly Matcher[],
): { readonly ids: readonly string[]; readonly matchers: readonly Matcher[] } {
  if (!tenants.federated) return { ids: tenants.ids, matchers };
  const choosing = matchers.filter((m) => m.name === TENANT_LABEL);
  if (choosing.length === 0) return { ids: tenants.ids, matchers };
  const chosen = compileMatchers(choosing);
  return {
    ids: tenants.ids.filter((id) => chosen([[TENANT_LABEL, id]])),
    matchers: matchers.filter((m) => m.name !== TENANT_LABEL),
  };
}

/**
 * A federated query must still name something to look for once the matchers on the tenant are taken out. Throws
 * BadRequestError with Loki's text.
 */
export function checkTenantMatchers(tenants: Tenants, expr: Expr): void {
  if (!tenants.federated) return;
  for (const { matchers } of selectorsOf(expr)) {
    const others = matchers.filter((m) => m.name !== TENANT_LABEL);
    if (others.length === matchers.length) continue;
    if (others.every((m) => compileMatchers([m])([]))) {
      throw new BadRequestError(`log selector is invalid after matcher update: ${NO_POSITIVE_MATCHER}`);
    }
  }
}

/**
 * All matching streams with the blocks that overlap the time, from the ingesters and from the object store. The order of
 * the questions is what keeps rows from falling between them:
 *
 * - Delete requests first. One stops hiding rows when no ingester has any of them and all segments are rewritten; what is
 *   asked later is at least as new.
 * - The ingesters, and the catalog after their answers. Rows leave an ingester for a segment that the catalog knows by
 *   then (`RecentRows`).
 *
 * A row may come from several places: replicas, and a hand-over between the questions. Such blocks overlap in time, so
 * that they come to lie in one unit, where equal rows count once.
 */
export async function selectStreams(
  sources: Sources,
  selection: Selection,
  stats: QueryStats,
  { lease, signal }: Reader,
): Promise<SelectedStream[]> {
  const { tenants, startNs, endNs, condition = null } = selection;
  const test = compileFilterTest(condition);
  const { ids, matchers } =
    selection.tenantMatchers === 'ignore'
      ? { ids: tenants.ids, matchers: selection.matchers }
      : resolveTenants(tenants, selection.matchers);
  const began = performance.now();
  // Joined here: a promise that fails while another tenant's is waited for must already have its listener.
  const asked = await Promise.all(
    ids.map(async (tenant) => {
      const request = { tenant, matchers, startNs, endNs };
      const onLeftOut = () => stats.leftOutSegments++;
      const pending = sources.deletes?.pending(tenant) ?? [];
      const deletes = pending.filter(({ rule }) => rule.startNs <= endNs && rule.endNs >= startNs);
      const recentLists = await sources.recent.recent({ ...request, condition, lease }, signal);
      const storedSeries = await sources.catalog.select({ ...request, condition, onLeftOut });
      return { tenant, storedSeries, recentLists, deletes };
    }),
  );
  signal?.throwIfAborted();
  const found: { labels: Labels; tenant: string | null; blocks: BlockRef[]; deletes: readonly DeleteRule[] }[] = [];
  let looked = 0;
  for (const { tenant, storedSeries, recentLists, deletes } of asked) {
    const streams = new Map<string, (typeof found)[number]>();
    const streamOf = (labels: Labels) => {
      const key = labelsKey(labels);
      let stream = streams.get(key);
      if (!stream) {
        stream = {
          labels,
          tenant: tenants.federated ? tenant : null,
          blocks: [],
          deletes: deletes.filter(({ matches }) => matches(labels)).map(({ rule }) => rule),
        };
        streams.set(key, stream);
        found.push(stream);
      }
      return stream;
    };
    for (const series of storedSeries) {
      if (++looked % STREAMS_A_TURN === 0) await othersTurn(signal);
      const { blocks } = streamOf(series.labels);
      for (const block of series.blocks) {
        blocks.push(storedRef(block));
        stats.storedChunks++;
      }
    }
    for (const list of recentLists) {
      stats.ingestersReached++;
      for (const series of list) {
        if (++looked % STREAMS_A_TURN === 0) await othersTurn(signal);
        const { blocks } = streamOf(series.labels);
        for (const block of series.blocks) {
          const { filter } = block;
          if (test === null || test(series.labels, filter)) blocks.push(memoryRef(block));
        }
        for (const head of series.heads) {
          const ref = headRef(head);
          if (ref && ref.minNs <= endNs && ref.maxNs >= startNs) blocks.push(ref);
        }
        stats.recentChunks++;
      }
    }
  }
  stats.totalStreams += found.length;
  stats.indexMs += performance.now() - began;
  return found.map(withoutDeletedBlocks).filter((stream) => stream.blocks.length > 0);
}

/** Throws when the query was given up meanwhile: its lease may have ended, and then its blocks are no longer its own. */
async function othersTurn(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}

/** Leaves out blocks of which a request without stages deletes every row. */
function withoutDeletedBlocks(stream: SelectedStream): SelectedStream {
  const whole = (stream.deletes ?? []).filter(({ stages }) => stages.length === 0);
  if (whole.length === 0) return stream;
  const isLeft = ({ minNs, maxNs }: BlockRef) => !whole.some((rule) => rule.startNs <= minNs && rule.endNs >= maxNs);
  return { ...stream, blocks: stream.blocks.filter(isLeft) };
}
