import type { Clock } from '../../storage/host/clock.ts';
import {
  ChangeListeners,
  type Member,
  type MemberState,
  type MemberStatus,
  type Membership,
  type NewMember,
  type Registration,
} from './membership.ts';

/** The members of `-target=all`: registered by the services of this process, without a network. */
export class InMemoryMembership implements Membership, Registration {
  readonly #clock: Clock;
  readonly #heartbeatTimeoutMs: number;
  readonly #members = new Map<string, Member>();
  readonly #listeners = new ChangeListeners();
  #version = 0;
  #alive = 0;
  /** When health may change by time alone. */
  #judgeAtMs = Number.POSITIVE_INFINITY;
  #healthy: readonly string[] = [];

  /** `heartbeatTimeoutMs`: after this time without a heartbeat a member counts as unhealthy; 0: never. */
  constructor(clock: Clock, heartbeatTimeoutMs = 0) {
    this.#clock = clock;
    this.#heartbeatTimeoutMs = heartbeatTimeoutMs;
  }

  get version(): number {
    this.#judgeInTime();
    return this.#version;
  }

  healthy(): readonly string[] {
    this.#judgeInTime();
    return this.#healthy;
  }

  all(): readonly MemberStatus[] {
    const members = [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    return members.map((member) => ({ ...member, healthy: this.#isAlive(member) }));
  }

  /** A change by time alone is told when somebody next asks. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  async register(member: NewMember): Promise<void> {
    const nowMs = this.#clock.nowMs();
    this.#members.set(member.id, { ...member, registeredAtMs: nowMs, heartbeatAtMs: nowMs });
    this.#changed();
  }

  /** Does nothing for a member that left. */
  heartbeat(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    const wasAlive = this.#isAlive(member);
    this.#members.set(id, { ...member, heartbeatAtMs: this.#clock.nowMs() });
    if (!wasAlive) this.#changed();
  }

  async setState(id: string, state: MemberState): Promise<void> {
    const member = this.#members.get(id);
    if (member === undefined || member.state === state) return;
    this.#members.set(id, { ...member, state });
    this.#changed();
  }

  async unregister(id: string): Promise<void> {
    if (this.#members.delete(id)) this.#changed();
  }

  async forget(id: string): Promise<void> {
    const member = this.#members.get(id);
    if (member !== undefined && !this.#isAlive(member)) await this.unregister(id);
  }

  #isAlive(member: Member): boolean {
    return this.#heartbeatTimeoutMs === 0 || this.#clock.nowMs() - member.heartbeatAtMs <= this.#heartbeatTimeoutMs;
  }

  #changed(): void {
    this.#judge();
    this.#version++;
    this.#listeners.call();
  }

  #judgeInTime(): void {
    if (this.#clock.nowMs() < this.#judgeAtMs) return;
    const before = this.#alive;
    this.#judge();
    if (before === this.#alive) return; // time alone makes no member healthy
    this.#version++;
    this.#listeners.call();
  }

  #judge(): void {
    const healthy: string[] = [];
    this.#judgeAtMs = Number.POSITIVE_INFINITY;
    this.#alive = 0;
    for (const member of this.#members.values()) {
      if (!this.#isAlive(member)) continue;
      this.#alive++;
      if (this.#heartbeatTimeoutMs > 0) {
        this.#judgeAtMs = Math.min(this.#judgeAtMs, member.heartbeatAtMs + this.#heartbeatTimeoutMs + 1);
      }
      if (member.state === 'ACTIVE') healthy.push(member.id);
    }
    this.#healthy = healthy.sort();
  }
}
