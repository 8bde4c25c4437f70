import type { Clock } from '../../storage/host/clock.ts';

/** `JOINING` and `LEAVING` members answer reads and take no new streams. */
export type MemberState = 'JOINING' | 'ACTIVE' | 'LEAVING';

export interface Member {
  readonly id: string;
  /** Where its gRPC server listens; empty inside one process. */
  readonly address: string;
  readonly zone: string;
  readonly state: MemberState;
  /** ms since 1970. */
  readonly registeredAtMs: number;
  readonly heartbeatAtMs: number;
}

/** Who takes part. Implemented in memory for one process; across processes it is kept in etcd. */
export interface Membership {
  /** Grows whenever `healthy()` may answer differently. */
  readonly version: number;
  /** Active members with a recent heartbeat, sorted. */
  healthy(): readonly string[];
  /** All members, sorted by id, for the status page. */
  all(): readonly MemberStatus[];
}

export interface MemberStatus extends Member {
  readonly healthy: boolean;
}

/** The members of `-target=all`: registered by the services of this process, without a network. */
export class InMemoryMembership implements Membership {
  readonly #clock: Clock;
  readonly #heartbeatTimeoutMs: number;
  readonly #members = new Map<string, Member>();
  #version = 0;
  #healthy: readonly string[] = [];

  /** `heartbeatTimeoutMs`: after this time without a heartbeat a member counts as unhealthy; 0: never. */
  constructor(clock: Clock, heartbeatTimeoutMs = 0) {
    this.#clock = clock;
    this.#heartbeatTimeoutMs = heartbeatTimeoutMs;
  }

  get version(): number {
    this.#judge();
    return this.#version;
  }

  healthy(): readonly string[] {
    this.#judge();
    return this.#healthy;
  }

  all(): readonly MemberStatus[] {
    const members = [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return members.map((member) => ({ ...member, healthy: this.#isAlive(member) }));
  }

  register(id: string, state: MemberState = 'ACTIVE', place: { address?: string; zone?: string } = {}): void {
    const nowMs = this.#clock.nowMs();
    this.#members.set(id, {
      id,
      address: place.address ?? '',
      zone: place.zone ?? '',
      state,
      registeredAtMs: nowMs,
      heartbeatAtMs: nowMs,
    });
  }

  /** Does nothing for a member that left. */
  heartbeat(id: string): void {
    this.#change(id, { heartbeatAtMs: this.#clock.nowMs() });
  }

  setState(id: string, state: MemberState): void {
    this.#change(id, { state });
  }

  unregister(id: string): void {
    this.#members.delete(id);
  }

  #change(id: string, change: Partial<Member>): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#members.set(id, { ...member, ...change });
  }

  #isAlive(member: Member): boolean {
    return this.#heartbeatTimeoutMs === 0 || this.#clock.nowMs() - member.heartbeatAtMs <= this.#heartbeatTimeoutMs;
  }

  /** Health changes with time alone, so it is looked at on each question. */
  #judge(): void {
    const healthy: string[] = [];
    for (const member of this.#members.values()) {
      if (member.state === 'ACTIVE' && this.#isAlive(member)) healthy.push(member.id);
    }
    healthy.sort();
    const isSame = healthy.length === this.#healthy.length && healthy.every((id, i) => id === this.#healthy[i]);
    if (isSame) return;
    this.#healthy = healthy;
    this.#version++;
  }
}
