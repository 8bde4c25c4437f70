import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { EtcdChange, EtcdClient } from './etcd-client.ts';
import { checkMemberId, encodeMemberRecord } from './member-record.ts';
import { MemberTable, RingKeys } from './member-table.ts';
import type { MemberState, MemberStatus, Membership, NewMember, Registration } from './membership.ts';
import { OwnMembers } from './own-members.ts';
import { backoffMs, RingTimes } from './ring-times.ts';

export interface EtcdMembershipOptions {
  /** Stays the caller's: close it after `stop`. */
  readonly client: EtcdClient;
  /** `collectors/` */
  readonly prefix: string;
  /** `ingester`: members of one name see each other. */
  readonly ring: string;
  readonly heartbeatPeriodMs: number;
  /** A member whose last heartbeat is older is unhealthy. Whole seconds, rounded up; etcd keeps a lease for 2 s at least. */
  readonly heartbeatTimeoutMs: number;
  /** Forgets members that have been unhealthy for so long; 0: never. */
  readonly autoforgetMs?: number;
  /** How long, and how often, the start and every change are tried. */
  readonly dialTimeoutMs: number;
  readonly maxRetries: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What tells that etcd is there. */
type Source = 'watch' | 'heartbeat';

/** Who takes part in one ring, kept in etcd. Without contact the last known members stay valid. */
export class EtcdMembership implements Membership, Registration {
  readonly #options: EtcdMembershipOptions;
  readonly #times: RingTimes;
  readonly #keys: RingKeys;
  readonly #table: MemberTable;
  readonly #own: OwnMembers;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #silent = new Set<Source>(['watch']);
  #wasReached = false;
  #isRefused = false;
  /** Ends the pause before the next heartbeat. */
  #hurry = new AbortController();
  #closeWatch: (() => void) | undefined;
  /** The last change in the table, and who waits for a later one. */
  #seenRevision = 0;
  readonly #waiting = new Set<{ readonly revision: number; readonly resolve: () => void }>();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: EtcdMembershipOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = options.logger.child({ ring: options.ring });
    this.#times = new RingTimes(options.heartbeatPeriodMs, options.heartbeatTimeoutMs);
    this.#keys = new RingKeys(options.prefix, options.ring);
    this.#table = new MemberTable(this.#keys, this.#times.leaseMs, this.#clock, this.#logger);
    this.#own = new OwnMembers(options.client, this.#keys, this.#times, this.#logger);
  }

  /** Resolves once the members are known. Rejects, with nothing left running, when etcd cannot be reached. */
  async start(): Promise<void> {
    const { dialTimeoutMs, maxRetries } = this.#options;
    const deadlineMs = this.#clock.nowMs() + dialTimeoutMs;
    for (let tries = 1; ; tries++) {
      try {
        const { ended } = await this.#follow();
        this.#loops = Promise.all([this.#followOn(ended), this.#beat()]);
        return;
      } catch (cause: unknown) {
        const pauseMs = backoffMs(tries);
        if (tries >= maxRetries || this.#clock.nowMs() + pauseMs >= deadlineMs || this.#isStopping) {
          await this.stop();
          throw new Error(`etcd cannot be reached for the ring ${this.#options.ring}: ${textOf(cause)}`, { cause });
        }
        await this.#pause(pauseMs);
      }
    }
  }

  /** Members that are still registered become unhealthy at once: to leave in order, unregister them before. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the ring is closed'));
    this.#closeWatch?.();
    this.#seen(Number.POSITIVE_INFINITY);
    await this.#loops;
    try {
      await this.#own.abandon();
    } catch (err: unknown) {
      this.#logger.info('the lease in etcd ends by itself', { err });
    }
  }

  get version(): number {
    return this.#table.version;
  }

  healthy(): readonly string[] {
    return this.#table.healthy();
  }

  all(): readonly MemberStatus[] {
    return this.#table.all();
  }

  /** False while etcd does not answer: the members are then those of before. */
  get hasContact(): boolean {
    return this.#silent.size === 0;
  }

  /** A change by time alone is told within one heartbeat period. */
  onChange(listener: () => void): () => void {
    return this.#table.onChange(listener);
  }

  /** As `all`, with the last heartbeats that etcd knows of, to the second; for people, as it asks for every lease. */
  async withHeartbeats(): Promise<readonly MemberStatus[]> {
    const ages = new Map<string, number>();
    const leases = [...this.#table.leases()];
    const { client } = this.#options;
    const ask = async (): Promise<void> => {
      for (let next = leases.pop(); next !== undefined; next = leases.pop()) {
        const [id, lease] = next;
        const ageMs = await client.leaseAgeMs(lease, this.#times.callMs);
        if (ageMs !== undefined) ages.set(id, ageMs);
      }
    };
    try {
      await Promise.all(Array.from({ length: AGES_AT_ONCE }, ask));
    } catch (err: unknown) {
      // The page is for the time when something is wrong: it shows what is known.
      this.#logger.debug('etcd does not tell the age of heartbeats', { err });
    }
    const nowMs = this.#clock.nowMs();
    return this.all().map((member) => {
      const ageMs = ages.get(member.id);
      return ageMs === undefined ? member : { ...member, heartbeatAtMs: nowMs - ageMs };
    });
  }

  /** Throws TypeError for a name or an address that readers would not take. */
  async register(member: NewMember): Promise<void> {
    checkMemberId(member.id);
    const before = this.#table.keysOf(member.id).record;
    const registeredAtMs = before?.registeredAtMs ?? this.#clock.nowMs();
    encodeMemberRecord({ ...member, registeredAtMs });
    this.#own.set(member, registeredAtMs);
    await this.#write(() => this.#own.write(member.id));
  }

  async setState(id: string, state: MemberState): Promise<void> {
    if (!this.#own.setState(id, state)) return;
    await this.#write(() => this.#own.write(id));
  }

  async unregister(id: string): Promise<void> {
    const remove = this.#own.drop(id);
    if (remove === undefined) await this.forget(id);
    else await this.#write(remove);
  }

  async forget(id: string): Promise<void> {
    const operations = [this.#keys.member(id), this.#keys.heartbeat(id)].map(
      (key) => ({ kind: 'delete', key }) as const,
    );
    await this.#write(async () => {
      const { revision } = await this.#options.client.commit([], operations, this.#times.callMs);
      return this.#table.keysOf(id).record === undefined ? 0 : revision;
    });
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /**
   * Tries again while etcd does not answer, as long as `start` would. Resolves when this process has seen the change as
   * well. What was to be written for a member of this process is written later, if it could not be now.
   */
  async #write(write: () => Promise<number>): Promise<void> {
    const { dialTimeoutMs, maxRetries, ring } = this.#options;
    const deadlineMs = this.#clock.nowMs() + dialTimeoutMs;
    for (let tries = 1; ; tries++) {
      this.#stopping.signal.throwIfAborted();
      const pauseMs = backoffMs(tries);
      try {
        await this.#sees(await write());
        return;
      } catch (cause: unknown) {
        if (tries >= maxRetries || this.#clock.nowMs() + pauseMs >= deadlineMs) {
          throw new Error(`etcd does not take a change of the ring ${ring}: ${textOf(cause)}`, { cause });
        }
        this.#logger.debug('etcd does not take a change of the ring', { err: cause, tries });
      }
      await this.#pause(pauseMs);
    }
  }

  /** Loads all members and watches from there. Resolves to a promise of the reason why the watch ended. */
  async #follow(): Promise<{ readonly ended: Promise<Error> }> {
    const { client } = this.#options;
    const { prefix } = this.#keys;
    const { callMs } = this.#times;
    const { revision, items } = await client.load(prefix, callMs);
    this.#table.replace(items);
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<Error>();
    const onChanges = (changes: readonly EtcdChange[], seenRevision: number): void => {
      this.#table.apply(changes);
      this.#seen(seenRevision);
      // Somebody forgot a member of ours, or its lease has ended.
      if (changes.some(({ key, value }) => value === undefined && this.#own.has(this.#keys.parse(key)?.id ?? ''))) {
        this.#hurry.abort();
      }
    };
    const watch = await client.watch(prefix, revision + 1, { onChanges, onEnd }, callMs);
    if (this.#isStopping) {
      watch.close();
      throw this.#stopping.signal.reason;
    }
    this.#closeWatch = () => {
      watch.close();
      onEnd(new Error('the ring is closed'));
    };
    this.#seen(revision);
    this.#heard('watch');
    this.#hurry.abort();
    return { ended };
  }

  /** Whatever ends the watch, everything is loaded anew: changes may have been compacted, or etcd be another one. */
  async #followOn(first: Promise<Error>): Promise<void> {
    let ended: Promise<Error> | undefined = first;
    for (let tries = 0; !this.#isStopping; ) {
      try {
        if (ended === undefined) ended = (await this.#follow()).ended;
        tries = 0;
        this.#silence('watch', await ended);
      } catch (error: unknown) {
        this.#silence('watch', error);
      }
      ended = undefined;
      await this.#pause(backoffMs(++tries));
    }
  }

  /** Renews our lease, or asks whether etcd is there; and does what has to be done from time to time. */
  async #beat(): Promise<void> {
    for (;;) {
      this.#hurry = new AbortController();
      await this.#pause(this.#times.periodMs, this.#hurry.signal);
      if (this.#isStopping) return;
      try {
        if (this.#own.isEmpty) await this.#options.client.probe(this.#keys.prefix, this.#times.callMs);
        else await this.#own.renew();
        this.#heard('heartbeat');
      } catch (error: unknown) {
        this.#silence('heartbeat', error);
        continue;
      }
      if (this.hasContact) this.#own.compare(this.#table);
      await this.#tend();
    }
  }

  async #tend(): Promise<void> {
    try {
      await this.#own.writeDirty();
      await this.#forgetOld();
      this.#isRefused = false;
    } catch (err: unknown) {
      if (!this.#isRefused && !this.#isStopping) this.#logger.warn('etcd does not take changes of the ring', { err });
      this.#isRefused = true;
    }
    this.#table.judge();
  }

  async #forgetOld(): Promise<void> {
    const { autoforgetMs = 0, client } = this.#options;
    if (autoforgetMs === 0 || !this.hasContact) return;
    for (const { id, revision } of this.#table.unhealthyFor(autoforgetMs)) {
      const [member, heartbeat] = [this.#keys.member(id), this.#keys.heartbeat(id)];
      const conditions = [
        { key: member, revision },
        { key: heartbeat, revision: 0 },
      ];
      const deletions = [member, heartbeat].map((key) => ({ kind: 'delete', key }) as const);
      // All members of the ring come to this at about the same time: only one finds the conditions true.
      const { isDone } = await client.commit(conditions, deletions, this.#times.callMs);
      if (isDone) this.#logger.warn('forgot a member that was unhealthy for long', { member: id });
    }
  }

  #silence(source: Source, err: unknown): void {
    if (this.#isStopping) return;
    if (this.hasContact) this.#logger.warn('no contact with etcd: the members of the ring stay as they are', { err });
    this.#silent.add(source);
    this.#table.lostContact();
  }

  #heard(source: Source): void {
    if (!this.#silent.delete(source) || !this.hasContact) return;
    if (this.#wasReached) this.#logger.info('contact with etcd is back');
    this.#wasReached = true;
    this.#table.hasContactAgain();
  }

  #seen(revision: number): void {
    this.#seenRevision = revision;
    for (const waiting of this.#waiting) {
      if (waiting.revision > revision) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Resolves when the table has the change, or after the time of a call: the change is made in any case. */
  async #sees(revision: number): Promise<void> {
    if (revision <= this.#seenRevision) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { revision, resolve };
    this.#waiting.add(waiting);
    const seen = new AbortController();
    await Promise.race([promise, this.#pause(this.#times.callMs, seen.signal)]);
    seen.abort();
    this.#waiting.delete(waiting);
  }

  /** Ends early, and without an error, when `signal` or the end of the ring says so. */
  async #pause(ms: number, signal?: AbortSignal): Promise<void> {
    const stopping = this.#stopping.signal;
    const either = signal === undefined ? stopping : AbortSignal.any([stopping, signal]);
    try {
      await this.#clock.sleep(ms, either);
    } catch (error: unknown) {
      if (!either.aborted) throw error;
    }
  }
}

/** Leases that one page asks for at a time. */
const AGES_AT_ONCE = 16;

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
