import type { Logger } from '../../storage/host/logger.ts';
import type { EtcdClient, EtcdCondition, EtcdOperation } from './etcd-client.ts';
import { decodeMemberRecord, encodeMemberRecord } from './member-record.ts';
import type { MemberTable, RingKeys } from './member-table.ts';
import type { MemberState, NewMember } from './membership.ts';
import type { RingTimes } from './ring-times.ts';

interface Own {
  member: NewMember;
  readonly registeredAtMs: number;
  /** Revision of the record that was written last; undefined before the first time: it takes the place of any other. */
  revision: number | undefined;
  /** Something has to be written: the state, or what is gone from etcd. */
  isDirty: boolean;
  isTaken: boolean;
}

/** Changes that were overtaken by another one of the same key are tried again so often. */
const MAX_RACES = 4;

/**
 * The members that this process has registered in one ring, with one lease for all. They are written again when they
 * are gone; a record that another process wrote in the meantime is left alone.
 */
export class OwnMembers {
  readonly #client: EtcdClient;
  readonly #keys: RingKeys;
  readonly #times: RingTimes;
  readonly #logger: Logger;
  readonly #own = new Map<string, Own>();
  #lease: string | undefined;
  /** Writes come one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: EtcdClient, keys: RingKeys, times: RingTimes, logger: Logger) {
    this.#client = client;
    this.#keys = keys;
    this.#times = times;
    this.#logger = logger;
  }

  get isEmpty(): boolean {
    return this.#own.size === 0;
  }

  has(id: string): boolean {
    return this.#own.has(id);
  }

  set(member: NewMember, registeredAtMs: number): void {
    this.#own.set(member.id, { member, registeredAtMs, revision: undefined, isDirty: true, isTaken: false });
  }

  /** False when there is no such member, or it is in that state. */
  setState(id: string, state: MemberState): boolean {
    const own = this.#own.get(id);
    if (own === undefined || own.member.state === state) return false;
    own.member = { ...own.member, state };
    own.isDirty = true;
    return true;
  }

  /** Writes the member as it is to be. Resolves to the revision of the change, or 0 when there was nothing to write. */
  write(id: string): Promise<number> {
    return this.#inTurn(async () => {
      const own = this.#own.get(id);
      return own?.isDirty ? await this.#write(own) : 0;
    });
  }

  /** Removes the member from here at once, from etcd with `remove`. */
  drop(id: string): (() => Promise<number>) | undefined {
    const own = this.#own.get(id);
    if (own === undefined) return undefined;
    this.#own.delete(id);
    const deletions = [this.#keys.member(id), this.#keys.heartbeat(id)].map(
      (key) => ({ kind: 'delete', key }) as const,
    );
    return () =>
      this.#inTurn(async () => {
        // Registered again in the meantime: then there is nothing to remove.
        if (this.#own.has(id) || own.revision === undefined) return 0;
        return this.#commit(own, deletions);
      });
  }

  /** Renews the lease, or takes one. When etcd has ended it, all members have to be written again with another one. */
  async renew(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#lease === undefined) await this.#takeLease();
      else if (!(await this.#client.renewLease(this.#lease, this.#times.callMs))) {
        this.#logger.warn('the lease in etcd is lost: registering again');
        this.#lease = undefined;
        for (const own of this.#own.values()) own.isDirty = true;
        await this.#takeLease();
      }
    });
  }

  /** Finds out whose keys are gone: somebody forgot them, or etcd has lost its data. */
  compare(table: MemberTable): void {
    for (const [id, own] of this.#own) {
      if (own.revision === undefined) continue;
      const { record, lease } = table.keysOf(id);
      if (record === undefined || lease === undefined) own.isDirty = true;
      else if (record.address !== own.member.address) this.#taken(own);
    }
  }

  async writeDirty(): Promise<void> {
    for (const [id, own] of this.#own) if (own.isDirty) await this.write(id);
  }

  /** The heartbeats of those that are still registered end now. */
  async abandon(): Promise<void> {
    await this.#inTurn(async () => {
      const lease = this.#lease;
      this.#lease = undefined;
      if (lease !== undefined) await this.#client.revokeLease(lease, this.#times.callMs);
    });
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(write);
    this.#last = turn.catch(() => {}); // told to the caller of this write
    return turn;
  }

  async #takeLease(): Promise<string> {
    this.#lease = await this.#client.grantLease(this.#times.leaseSeconds, this.#times.callMs);
    return this.#lease;
  }

  async #write(own: Own): Promise<number> {
    const lease = this.#lease ?? (await this.#takeLease());
    const { member, registeredAtMs } = own;
    const { id, address, zone, state } = member;
    const value = encodeMemberRecord({ address, zone, state, registeredAtMs });
    const revision = await this.#commit(own, [
      { kind: 'put', key: this.#keys.member(id), value },
      { kind: 'put', key: this.#keys.heartbeat(id), value: '', lease },
    ]);
    own.isDirty = own.member !== member;
    return revision;
  }

  /**
   * Does the operations as long as the record is ours or gone. The first time needs no condition. An answer that was
   * lost on the way leaves us with an old revision; the address tells that the record is ours nevertheless.
   */
  async #commit(own: Own, operations: readonly EtcdOperation[]): Promise<number> {
    const key = this.#keys.member(own.member.id);
    for (let races = 0; races < MAX_RACES; races++) {
      const conditions: EtcdCondition[] = own.revision === undefined ? [] : [{ key, revision: own.revision }];
      const { isDone, revision } = await this.#client.commit(conditions, operations, this.#times.callMs);
      if (isDone) {
        own.revision = revision;
        return revision;
      }
      const { items } = await this.#client.load(key, this.#times.callMs);
      const found = items.find((item) => item.key === key);
      if (found !== undefined && isOfAnother(found.value, own.member)) {
        this.#taken(own);
        return 0;
      }
      own.revision = found?.revision ?? 0;
    }
    throw new Error(`member ${own.member.id} of the ring is being changed by others`);
  }

  #taken(own: Own): void {
    if (!own.isTaken) {
      this.#logger.error('another process has registered as the same member of the ring', { member: own.member.id });
    }
    own.isTaken = true;
  }
}

/** What nobody can read is nobody's. */
function isOfAnother(value: Buffer, member: NewMember): boolean {
  try {
    return decodeMemberRecord(value).address !== member.address;
  } catch (error: unknown) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
