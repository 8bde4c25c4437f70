import { createHash } from 'node:crypto';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { parseQuery } from '../../logql/syntax/index.ts';
import type { RecentRequest } from '../rpc/ingester.ts';
import type { Bounds } from './params.ts';
import { type FingerprintRequest, metricPlan } from './parts.ts';
import type { QueryContext } from './querier.ts';
import { resolveTenants, type Sources } from './select.ts';

/** What one selector of a query reads. */
interface Read extends Bounds {
  readonly matchers: readonly Matcher[];
  readonly tenants: readonly string[];
}

/**
 * Tells whether the answer of a part of a query is still the same, without opening a block.
 *
 * What a query finds in a time follows from the segments that overlap it, which never change but only come and go, from
 * the delete requests that hide rows of it, and from the rows that ingesters hold in it. The first two have names; a
 * fingerprint is a hash of them. For the third there is none: while an ingester holds a matching row of the time, whether
 * it is new or late, there is no fingerprint. When such rows are stored, they are a new segment. A delete request changes
 * the fingerprint when it begins to hide rows and again when segments are rewritten for it; so do retention and
 * compaction by the names of what they write and remove. So two equal fingerprints mean equal answers.
 */
export class PartFingerprints {
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Of each range. Throws what asking an ingester throws. */
  ofRanges({ query, stepNs, ranges }: FingerprintRequest, context: QueryContext): Promise<(string | null)[]> {
    return Promise.all(ranges.map((range) => this.#of(readsOf(query, stepNs, range, context), context.signal)));
  }

  /** Ingesters are asked first: what they have stored and hold no more, the catalog knows afterwards. */
  async #of(reads: readonly Read[], signal: AbortSignal): Promise<string | null> {
    const held = await Promise.all(
      reads.flatMap(({ tenants, matchers, startNs, endNs }) =>
        tenants.map((tenant) => this.#isHeld({ tenant, matchers, startNs, endNs }, signal)),
      ),
    );
    if (held.includes(true)) return null;
    const { catalog, deletes } = this.#sources;
    const hash = createHash('sha256');
    for (const { tenants, startNs, endNs } of reads) {
      const overlaps = (from: bigint, to: bigint) => from <= endNs && to >= startNs;
      for (const tenant of tenants) {
        const segments = catalog.segments(tenant).filter(({ minNs, maxNs }) => overlaps(minNs, maxNs));
        const rules = (deletes?.pending(tenant) ?? []).filter(({ rule }) => overlaps(rule.startNs, rule.endNs));
        const names = [segments.map(({ key }) => key), rules.map(({ rule }) => rule.id).sort()];
        hash.update(JSON.stringify([tenant, ...names]));
      }
    }
    return hash.digest('base64');
  }

  async #isHeld(request: RecentRequest, signal: AbortSignal): Promise<boolean> {
    return (await this.#sources.recent.stats(request, signal)).rows > 0;
  }
}

function readsOf(query: string, stepNs: bigint, { startNs, endNs }: Bounds, { tenants }: QueryContext): Read[] {
  const expr = parseQuery(query);
  if (expr.kind === 'log') {
    const { ids, matchers } = resolveTenants(tenants, expr.matchers);
    return [{ tenants: ids, matchers, startNs, endNs: endNs - 1n }];
  }
  const { scans } = metricPlan({ query, startNs, endNs, stepNs, splitNs: 0n });
  return scans.map(({ matchers, readAfterNs, readUntilNs }) => ({
    tenants: tenants.ids,
    matchers,
    startNs: readAfterNs + 1n,
    endNs: readUntilNs,
  }));
}
