import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { EtcdChange, EtcdItem } from './etcd-client.ts';
import { checkMemberId, decodeMemberRecord, type MemberRecord } from './member-record.ts';
import { ChangeListeners, type MemberStatus } from './membership.ts';

/**
 * Keys of one ring: what a member is lasts, that it lives goes with its lease.
 *
 *     collectors/ingester/members/<id>     {"address":…,"zone":…,"state":…,"registeredAtMs":…}
 *     collectors/ingester/heartbeats/<id>
 */
export class RingKeys {
  readonly prefix: string;
  readonly #members: string;
  readonly #heartbeats: string;

  constructor(prefix: string, ring: string) {
    this.prefix = `${prefix}${ring}/`;
    this.#members = `${this.prefix}members/`;
    this.#heartbeats = `${this.prefix}heartbeats/`;
  }

  member(id: string): string {
    return this.#members + id;
  }

  heartbeat(id: string): string {
    return this.#heartbeats + id;
  }

  parse(key: string): { readonly kind: 'member' | 'heartbeat'; readonly id: string } | undefined {
    if (key.startsWith(this.#members)) return { kind: 'member', id: key.slice(this.#members.length) };
    if (key.startsWith(this.#heartbeats)) return { kind: 'heartbeat', id: key.slice(this.#heartbeats.length) };
    return undefined;
  }
}

interface Entry {
  record: MemberRecord | undefined;
  recordRevision: number;
  /** Lease of the heartbeat; undefined when there is no heartbeat. */
  lease: string | undefined;
  heartbeatAtMs: number;
  /** Without a heartbeat: still counts as healthy before this time. */
  spareUntilMs: number;
  isHealthy: boolean;
  unhealthySinceMs: number;
  /** etcd has lost its record. */
  isLost: boolean;
}

/**
 * The members of a ring as etcd last told them, and who of them is healthy: whoever has a heartbeat. While there is no
 * contact with etcd nobody is judged, because nobody could have renewed a lease; heartbeats that are gone afterwards
 * get the time of one lease to come back. So do the members of an etcd that has lost its data and learns of them one by
 * one: until then they are what they were, since a read must not take the first of them for all.
 */
export class MemberTable {
  readonly #keys: RingKeys;
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** How long members may stay away after contact is back. */
  readonly #graceMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new ChangeListeners();
  #hasContact = true;
  #graceUntilMs = 0;
  /** When some member has to be judged by time alone; never without contact. */
  #judgeAtMs = Number.POSITIVE_INFINITY;
  #version = 0;
  #all: readonly MemberStatus[] | undefined;
  #healthy: readonly string[] | undefined;

  constructor(keys: RingKeys, graceMs: number, clock: Clock, logger: Logger) {
    this.#keys = keys;
    this.#graceMs = graceMs;
    this.#clock = clock;
    this.#logger = logger;
  }

  get version(): number {
    this.judge();
    return this.#version;
  }

  healthy(): readonly string[] {
    this.judge();
    this.#healthy ??= this.all()
      .filter(({ healthy, state }) => healthy && state === 'ACTIVE')
      .map(({ id }) => id);
    return this.#healthy;
  }

  all(): readonly MemberStatus[] {
    this.judge();
    if (this.#all === undefined) {
      const all: MemberStatus[] = [];
      for (const [id, { record, heartbeatAtMs, isHealthy }] of this.#entries) {
        if (record !== undefined) all.push({ id, ...record, heartbeatAtMs, healthy: isHealthy });
      }
      this.#all = all.sort((a, b) => (a.id < b.id ? -1 : 1));
    }
    return this.#all;
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** What etcd holds for the member, as far as it has been told. */
  keysOf(id: string): { readonly record: MemberRecord | undefined; readonly lease: string | undefined } {
    const { record, lease } = this.#entries.get(id) ?? {};
    return { record, lease };
  }

  leases(): ReadonlyMap<string, string> {
    const leases = new Map<string, string>();
    for (const [id, { record, lease }] of this.#entries) {
      if (record !== undefined && lease !== undefined) leases.set(id, lease);
    }
    return leases;
  }

  /** Members without a heartbeat for at least `ageMs`, with the revisions of their records. */
  unhealthyFor(ageMs: number): { readonly id: string; readonly revision: number }[] {
    this.judge();
    const before = this.#clock.nowMs() - ageMs;
    const found: { id: string; revision: number }[] = [];
    for (const [id, { record, isHealthy, unhealthySinceMs, recordRevision }] of this.#entries) {
      if (record !== undefined && !isHealthy && unhealthySinceMs <= before)
        found.push({ id, revision: recordRevision });
    }
    return found;
  }

  /** Takes all keys of the ring in the place of those known. */
  replace(items: readonly EtcdItem[]): void {
    const records = new Map<string, EtcdItem>();
    const heartbeats = new Map<string, EtcdItem>();
    for (const item of items) {
      const key = this.#keys.parse(item.key);
      if (key !== undefined) (key.kind === 'member' ? records : heartbeats).set(key.id, item);
    }
    let isChanged = false;
    const isAnotherEtcd = this.#isAnother(records);
    for (const [id, { isLost }] of [...this.#entries]) {
      const isKept = isAnotherEtcd || isLost;
      if (!records.has(id) && isKept) this.#loseRecord(id);
      else if (!records.has(id)) isChanged = this.#removeRecord(id) || isChanged;
      if (!heartbeats.has(id)) isChanged = this.#removeHeartbeat(id) || isChanged;
    }
    for (const [id, { lease }] of heartbeats) isChanged = this.#putHeartbeat(id, lease) || isChanged;
    for (const [id, { value, revision }] of records) isChanged = this.#putRecord(id, value, revision) || isChanged;
    this.#changed(isChanged);
  }

  apply(changes: readonly EtcdChange[]): void {
    let isChanged = false;
    for (const change of changes) isChanged = this.#apply(change) || isChanged;
    this.#changed(isChanged);
  }

  lostContact(): void {
    this.judge();
    this.#hasContact = false;
    this.#judgeAtMs = Number.POSITIVE_INFINITY;
  }

  /** To be called with the keys of after the outage already taken, as far as they are known. */
  hasContactAgain(): void {
    if (this.#hasContact) return;
    this.#hasContact = true;
    this.#graceUntilMs = this.#clock.nowMs() + this.#graceMs;
    for (const entry of this.#entries.values()) {
      if ((entry.isHealthy && entry.lease === undefined) || entry.isLost) this.#spare(entry);
    }
  }

  /** Judges those whose time is over; cheap when nobody's is. */
  judge(): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs < this.#judgeAtMs) return;
    this.#judgeAtMs = Number.POSITIVE_INFINITY;
    let isChanged = false;
    for (const [id, entry] of this.#entries) {
      const isWaitedFor = entry.isLost || (entry.isHealthy && entry.lease === undefined);
      if (!isWaitedFor) continue;
      if (entry.spareUntilMs > nowMs) this.#judgeAtMs = Math.min(this.#judgeAtMs, entry.spareUntilMs);
      else if (entry.isLost) isChanged = this.#entries.delete(id);
      else isChanged = this.#condemn(id, entry) || isChanged;
    }
    this.#changed(isChanged);
  }

  #apply({ key, value, revision, lease }: EtcdChange): boolean {
    const parsed = this.#keys.parse(key);
    if (parsed === undefined) return false;
    const { kind, id } = parsed;
    if (kind === 'member') return value === undefined ? this.#removeRecord(id) : this.#putRecord(id, value, revision);
    return value === undefined ? this.#removeHeartbeat(id) : this.#putHeartbeat(id, lease);
  }

  #entry(id: string): Entry {
    let entry = this.#entries.get(id);
    if (entry === undefined) {
      entry = {
        record: undefined,
        recordRevision: 0,
        lease: undefined,
        heartbeatAtMs: 0,
        spareUntilMs: 0,
        isHealthy: false,
        unhealthySinceMs: this.#clock.nowMs(),
        isLost: false,
      };
      this.#entries.set(id, entry);
    }
    return entry;
  }

  /** A value that cannot be read leaves what was known before. */
  #putRecord(id: string, value: Buffer, revision: number): boolean {
    let record: MemberRecord;
    try {
      checkMemberId(id);
      record = decodeMemberRecord(value);
    } catch (err: unknown) {
      this.#logger.warn('a member in etcd cannot be read', { key: this.#keys.member(id.slice(0, 300)), err });
      return false;
    }
    const entry = this.#entry(id);
    const { record: before } = entry;
    entry.record = record;
    entry.recordRevision = revision;
    entry.isLost = false;
    return (
      before === undefined ||
      before.address !== record.address ||
      before.zone !== record.zone ||
      before.state !== record.state ||
      before.registeredAtMs !== record.registeredAtMs
    );
  }

  #removeRecord(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry?.record === undefined) return false;
    if (entry.lease === undefined) this.#entries.delete(id);
    else entry.record = undefined;
    return true;
  }

  /** Whether not one record is what it was: of an etcd that has its data at least those are of members that stayed. */
  #isAnother(records: ReadonlyMap<string, EtcdItem>): boolean {
    const known = [...this.#entries].filter(([, { record }]) => record !== undefined);
    return known.length > 0 && !known.some(([id, { recordRevision }]) => records.get(id)?.revision === recordRevision);
  }

  #loseRecord(id: string): void {
    const entry = this.#entries.get(id);
    if (entry?.record === undefined) return;
    entry.isLost = true;
    entry.lease = undefined;
  }

  #putHeartbeat(id: string, lease: string): boolean {
    if (lease === '0') {
      this.#logger.warn('a heartbeat in etcd has no lease', { key: this.#keys.heartbeat(id.slice(0, 300)) });
      return false;
    }
    const entry = this.#entry(id);
    if (entry.lease !== lease) {
      entry.heartbeatAtMs = this.#clock.nowMs();
      this.#all = undefined;
    }
    entry.lease = lease;
    const wasHealthy = entry.isHealthy;
    entry.isHealthy = true;
    return !wasHealthy && entry.record !== undefined;
  }

  #removeHeartbeat(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry?.lease === undefined) return false;
    entry.lease = undefined;
    if (entry.record === undefined) {
      this.#entries.delete(id);
      return false;
    }
    if (!this.#hasContact) return false;
    if (this.#clock.nowMs() < this.#graceUntilMs) {
      this.#spare(entry);
      return false;
    }
    return this.#condemn(id, entry);
  }

  #spare(entry: Entry): void {
    entry.spareUntilMs = this.#graceUntilMs;
    this.#judgeAtMs = Math.min(this.#judgeAtMs, this.#graceUntilMs);
  }

  #condemn(id: string, entry: Entry): boolean {
    entry.isHealthy = false;
    entry.unhealthySinceMs = this.#clock.nowMs();
    if (entry.record === undefined) {
      this.#entries.delete(id);
      return false;
    }
    return true;
  }

  #changed(isChanged: boolean): void {
    if (!isChanged) return;
    this.#version++;
    this.#all = undefined;
    this.#healthy = undefined;
    this.#listeners.call();
  }
}
