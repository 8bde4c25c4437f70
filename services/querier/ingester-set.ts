import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { MemberStatus, ReadSet } from '../ring/index.ts';
import type { IngesterClient, RecentFigures, RecentRequest, RecentStream } from '../rpc/ingester.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import { askQuorum, type QuorumOptions } from './quorum.ts';
import { followIngesters } from './tail-followers.ts';

export interface IngesterSetOptions {
  /** Whom a read has to ask now (`MembershipRing.readSet`); throws RingError when too many are away. */
  readonly readSet: () => ReadSet;
  /** Every ingester that the ring knows of, also those that leave or are away. */
  readonly members: () => readonly MemberStatus[];
  /** The same client each time; null when there is no way to the ingester. */
  readonly client: (id: string) => IngesterClient | null;
  /** A row lies on several ingesters. */
  readonly isReplicated: boolean;
  readonly clock: Clock;
  /**
   * Sees to it that the catalog knows what ingesters have stored and no longer name. Absent where the catalog learns of
   * every segment in the tick in which its rows leave the ingester: where there is one process.
   */
  readonly catalog?: { fresh(signal?: AbortSignal): Promise<void> };
  /** Spare ingesters are asked when others take longer. */
  readonly hedgeMs?: number;
  readonly random?: () => number;
}

export const HEDGE_MS = 100;

/** The ingesters of one process or of a cluster, by what the ring says of them at the time of each question. */
export class IngesterSet implements RecentRows {
  readonly repeats: boolean;
  readonly #o: IngesterSetOptions;
  readonly #quorum: QuorumOptions;

  constructor(options: IngesterSetOptions) {
    this.#o = options;
    this.repeats = options.isReplicated;
    this.#quorum = {
      client: options.client,
      hedgeMs: options.hedgeMs ?? HEDGE_MS,
      sleep: (ms, signal) => options.clock.sleep(ms, signal),
      random: options.random ?? Math.random,
    };
  }

  recent(request: RecentRequest, signal?: AbortSignal): Promise<readonly (readonly RecentStream[])[]> {
    return this.#ask((client, own) => client.recent(request, own), signal);
  }

  async series(request: RecentRequest, signal?: AbortSignal): Promise<readonly Labels[]> {
    return (await this.#ask((client, own) => client.series(request, own), signal)).flat();
  }

  async labelNames(request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]> {
    return (await this.#ask((client, own) => client.labelNames(request, own), signal)).flat();
  }

  async labelValues(name: string, request: RecentRequest, signal?: AbortSignal): Promise<readonly string[]> {
    return (await this.#ask((client, own) => client.labelValues(name, request, own), signal)).flat();
  }

  async stats(request: RecentRequest, signal?: AbortSignal): Promise<RecentFigures> {
    const sum = { streams: 0, chunks: 0, rows: 0, bytes: 0 };
    const answers = await this.#ask((client, own) => client.stats(request, own), signal);
    for (const { streams, chunks, rows, bytes } of answers) {
      sum.streams += streams;
      sum.chunks += chunks;
      sum.rows += rows;
      sum.bytes += bytes;
    }
    return sum;
  }

  tail(tenant: string, matchers: readonly Matcher[], onRows: (labels: Labels, rows: StreamBatch) => void): () => void {
    const { members, client, clock } = this.#o;
    return followIngesters({
      clients: () =>
        new Map(
          members().flatMap(({ id }) => {
            const one = client(id);
            return one === null ? [] : [[id, one] as const];
          }),
        ),
      clock,
      follow: (one, onClosed) => one.tail(tenant, matchers, onRows, onClosed),
    });
  }

  /**
   * The catalog is looked at when the answers are there: its listing must not be older than they are by more than
   * ingesters name what they have stored.
   */
  async #ask<T>(
    ask: (client: IngesterClient, signal: AbortSignal | undefined) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T[]> {
    const { readSet, catalog } = this.#o;
    const answers = await askQuorum(readSet(), this.#quorum, ask, signal);
    await catalog?.fresh(signal);
    return answers;
  }
}

/** The one ingester of a process that has all there is. */
export function onlyIngester(ingester: IngesterClient, clock: Clock): IngesterSet {
  const member: MemberStatus = {
    id: ingester.id,
    address: '',
    zone: '',
    state: 'ACTIVE',
    registeredAtMs: 0,
    heartbeatAtMs: 0,
    healthy: true,
  };
  const members = [member];
  const set: ReadSet = {
    members,
    maxFailures: 0,
    maxFailedZones: 0,
    tolerates: (failed) => failed[Symbol.iterator]().next().done === true,
  };
  return new IngesterSet({
    readSet: () => set,
    members: () => members,
    client: () => ingester,
    isReplicated: false,
    clock,
  });
}
