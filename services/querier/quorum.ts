import { type MemberStatus, type ReadSet, RingError } from '../ring/index.ts';
import type { IngesterClient } from '../rpc/ingester.ts';

export interface QuorumOptions<C = IngesterClient> {
  /** Null when there is no way to the ingester. */
  readonly client: (id: string) => C | null;
  /** Spare ingesters are asked when the others take longer than this. */
  readonly hedgeMs: number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
}

type Ask<T, C> = (client: C, signal: AbortSignal | undefined) => Promise<T>;

/**
 * Asks enough ingesters for every acknowledged row to be among the answers. What the read set tolerates to fail need not
 * answer either, and more answers would bring no more rows: so many ingesters are spared, and asked only when others fail
 * or take long.
 *
 * The answers are in the order of the ingesters' ids. Throws RingError when too few can be asked, and the error of the
 * ingester that was one too many.
 */
export async function askQuorum<T, C>(
  set: ReadSet,
  options: QuorumOptions<C>,
  ask: Ask<T, C>,
  signal?: AbortSignal,
): Promise<T[]> {
  if (set.members.length === 1) return askAll(set.members, options, ask, signal);
  return new Race(set, options, ask, signal).run();
}

/** Asks each of them; throws RingError when one cannot be asked, and the first error of one that is. */
async function askAll<T, C>(
  members: readonly MemberStatus[],
  { client }: Pick<QuorumOptions<C>, 'client'>,
  ask: Ask<T, C>,
  signal?: AbortSignal,
): Promise<T[]> {
  if (members.length === 0) throw new RingError('empty ring');
  const clients = members.map(({ id, healthy }) => (healthy ? client(id) : null));
  if (!clients.every((one) => one !== null)) throw tooManyUnhealthy();
  if (clients.length === 1) return [await ask(clients[0]!, signal)];
  const ending = new AbortController();
  const either = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
  try {
    return await Promise.all(clients.map((one) => ask(one, either)));
  } finally {
    ending.abort(new Error('an ingester failed that was needed'));
  }
}

const tooManyUnhealthy = (): RingError => new RingError('too many unhealthy instances in the ring');

/** One question to some of many ingesters, until those that have not answered may as well fail. */
class Race<T, C> {
  readonly #set: ReadSet;
  readonly #options: QuorumOptions<C>;
  readonly #ask: Ask<T, C>;
  readonly #signal: AbortSignal | undefined;
  readonly #ending = new AbortController();
  readonly #result = Promise.withResolvers<void>();
  readonly #answers = new Map<MemberStatus, T>();
  /** Cannot be asked, or have failed. */
  readonly #failed = new Set<MemberStatus>();
  #spared = new Set<MemberStatus>();

  constructor(set: ReadSet, options: QuorumOptions<C>, ask: Ask<T, C>, signal: AbortSignal | undefined) {
    this.#set = set;
    this.#options = options;
    this.#ask = ask;
    this.#signal = signal;
  }

  async run(): Promise<T[]> {
    const { members } = this.#set;
    this.#signal?.throwIfAborted();
    for (const member of members) {
      if (!member.healthy || this.#options.client(member.id) === null) this.#failed.add(member);
    }
    if (this.#failed.size === members.length || !this.#set.tolerates(this.#failed)) throw tooManyUnhealthy();
    const onAbort = (): void => this.#result.reject(this.#signal?.reason);
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      this.#spared = this.#chooseSpared();
      for (const member of members) {
        if (!this.#failed.has(member) && !this.#spared.has(member)) this.#askOne(member);
      }
      if (this.#spared.size > 0) this.#hedge();
      await this.#result.promise;
      return members.flatMap((member) => (this.#answers.has(member) ? [this.#answers.get(member)!] : []));
    } finally {
      this.#signal?.removeEventListener('abort', onAbort);
      this.#ending.abort(new Error('enough ingesters have answered'));
    }
  }

  /** As many as may be missing besides those that failed: whole zones where that is more. One is always left. */
  #chooseSpared(): Set<MemberStatus> {
    const { members, maxFailedZones } = this.#set;
    const candidates = shuffled(
      members.filter((member) => !this.#failed.has(member)),
      this.#options.random,
    );
    const groups = candidates.map((member) => [member]);
    if (maxFailedZones > 0) {
      const failedZones = new Set([...this.#failed].map(({ zone }) => zone));
      const zones = [...Map.groupBy(candidates, ({ zone }) => zone)];
      // What is left of a zone that has failed is of no use when the whole zone may fail.
      zones.sort(([a], [b]) => Number(failedZones.has(b)) - Number(failedZones.has(a)));
      groups.unshift(...zones.map(([, group]) => group));
    }
    let spared = new Set<MemberStatus>();
    for (const group of groups) {
      const more = spared.union(new Set(group));
      if (more.size < candidates.length && this.#set.tolerates(more.union(this.#failed))) spared = more;
    }
    return spared;
  }

  #askOne(member: MemberStatus): void {
    this.#answerOf(member).then(
      (answer) => {
        if (this.#ending.signal.aborted) return;
        this.#answers.set(member, answer);
        const missing = this.#set.members.filter((one) => !this.#answers.has(one));
        if (this.#set.tolerates(missing)) this.#result.resolve();
      },
      (error: unknown) => {
        this.#failed.add(member);
        if (!this.#set.tolerates(this.#failed)) this.#result.reject(error);
        else this.#askSpared();
      },
    );
  }

  /** Rejects, and never throws. */
  async #answerOf(member: MemberStatus): Promise<T> {
    const client = this.#options.client(member.id);
    if (client === null) throw tooManyUnhealthy(); // it was spared, and has left the ring since
    return this.#ask(client, this.#ending.signal);
  }

  #askSpared(): void {
    const spared = this.#spared;
    this.#spared = new Set();
    if (!this.#ending.signal.aborted) for (const member of spared) this.#askOne(member);
  }

  #hedge(): void {
    this.#options.sleep(this.#options.hedgeMs, this.#ending.signal).then(
      () => this.#askSpared(),
      () => {}, // the question was answered before
    );
  }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const rest = [...list];
  for (let i = rest.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [rest[i], rest[j]] = [rest[j]!, rest[i]!];
  }
  return rest;
}
