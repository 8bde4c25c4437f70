import { type Labels, labelsKey } from '../labels.ts';
import type { LogPlan } from '../plan/plan.ts';
import type { GroupLabels } from '../stages/types.ts';
import { quoteGo } from '../units/go-quote.ts';
import { EntryBuffer, type LogPartial } from './log-entries.ts';

/** Entries of a log query's answer, all streams together, in the order of the direction. Columns are parallel. */
export interface LogResult {
  readonly groups: readonly GroupLabels[];
  readonly timestampsNs: BigInt64Array;
  readonly groupIndexes: Uint32Array;
  readonly lines: readonly string[];
}

/** A stream of the answer: its labels and the numbers of its entries in a `LogResult`. */
export interface LogStream {
  readonly labels: Labels;
  readonly entries: readonly number[];
}

/** Merges partials into the answer of a log query, and knows meanwhile what cannot be part of it any more. */
export class LogMerger {
  readonly #plan: LogPlan;
  readonly #entries: EntryBuffer;
  readonly #groups: GroupLabels[] = [];
  /** By group; '' where the answer names none. */
  readonly #tenants: string[] = [];
  readonly #groupByKey = new Map<string, number>();

  constructor(plan: LogPlan) {
    this.#plan = plan;
    // Streams of several tenants may have the same labels, and so one rank.
    this.#entries = new EntryBuffer(plan, (a, b) => {
      const [x, y] = [this.#tenants[a]!, this.#tenants[b]!];
      return x < y ? -1 : x > y ? 1 : 0;
    });
  }

  add(partial: LogPartial): void {
    const groups = Uint32Array.from(partial.groups, (group) => this.#group(group, partial.tenant ?? ''));
    for (let i = 0; i < partial.lines.length; i++) {
      this.#entries.push(
        partial.timestampsNs[i]!,
        groups[partial.groupIndexes[i]!]!,
        partial.ranks[i]!,
        partial.sequences[i]!,
        partial.rows[i]!,
        partial.lines[i]!,
      );
    }
    this.#entries.cut();
  }

  /** Entries that may be in the answer. */
  get count(): number {
    return this.#entries.length;
  }

  /**
   * Entries later (backward: earlier) than this cannot be in the answer, because it is full of others. Null while it is
   * not full, and always for a query with an interval: what that drops is known only in the end.
   */
  get beyondNs(): bigint | null {
    const { limit, intervalNs } = this.#plan;
    if (intervalNs > 0n || limit === 0 || this.#entries.length < limit) return null;
    return this.#entries.timestampNs(limit - 1);
  }

  finish(): LogResult {
    this.#entries.finish();
    const { timestampsNs, groupIndexes, lines } = this.#entries.columns();
    return { groups: this.#groups, timestampsNs, groupIndexes, lines };
  }

  #group(group: GroupLabels, tenant: string): number {
    const key = [group.stream, group.structuredMetadata, group.parsed].map(labelsKey).join(';');
    let index = this.#groupByKey.get(key);
    if (index === undefined) {
      index = this.#groups.push(group) - 1;
      this.#tenants.push(tenant);
      this.#groupByKey.set(key, index);
    }
    return index;
  }
}

/**
 * The streams of an answer, ascending by printed labels. Plain: told apart by all labels. With `categorize`: by the
 * stream's own labels; what else an entry carries is in its group's categories.
 */
export function groupStreams(result: LogResult, categorize: boolean): LogStream[] {
  const streams = new Map<string, { labels: Labels; entries: number[] }>();
  const streamOfGroup = result.groups.map((group) => {
    const labels = categorize ? group.stream : group.merged;
    const key = printed(labels);
    let stream = streams.get(key);
    if (stream === undefined) {
      stream = { labels, entries: [] };
      streams.set(key, stream);
    }
    return stream;
  });
  result.groupIndexes.forEach((group, entry) => {
    streamOfGroup[group]!.entries.push(entry);
  });
  return [...streams]
    .filter(([, stream]) => stream.entries.length > 0)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, stream]) => stream);
}

function printed(labels: Labels): string {
  return `{${labels.map(([name, value]) => `${name}=${quoteGo(value)}`).join(', ')}}`;
}
