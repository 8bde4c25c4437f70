/**
 * `PENDING` members hold nothing yet: they take no streams and are not read. `JOINING` and `LEAVING` members answer
 * reads and take no new streams.
 */
export type MemberState = 'PENDING' | 'JOINING' | 'ACTIVE' | 'LEAVING';

export interface Member {
  readonly id: string;
  /** Where its gRPC server listens; empty inside one process. */
  readonly address: string;
  readonly zone: string;
  readonly state: MemberState;
  /** ms since 1970. */
  readonly registeredAtMs: number;
  /** The last heartbeat known of; 0 when none is. */
  readonly heartbeatAtMs: number;
}

export interface MemberStatus extends Member {
  readonly healthy: boolean;
}

/** Who takes part. Implemented in memory for one process; across processes it is kept in etcd. */
export interface Membership {
  /** Grows whenever a member comes, leaves, changes, or is judged otherwise. Heartbeats alone do not count. */
  readonly version: number;
  /** Active members with a recent heartbeat, sorted. */
  healthy(): readonly string[];
  /** All members, sorted by id. */
  all(): readonly MemberStatus[];
  /** Calls `listener` after `version` has grown. The returned function ends that. */
  onChange(listener: () => void): () => void;
}

export type NewMember = Pick<Member, 'id' | 'address' | 'zone' | 'state'>;

/** How members of this process take part. */
export interface Registration {
  /** Takes the place of a member with the same id, as a process does that starts again. */
  register(member: NewMember): Promise<void>;
  /** Does nothing for a member that is not registered here. */
  setState(id: string, state: MemberState): Promise<void>;
  /** Leaves; a member of another process is forgotten. */
  unregister(id: string): Promise<void>;
  /** Removes a member for good, unless it lives: then it comes back by itself. */
  forget(id: string): Promise<void>;
}

/** Listeners of one membership. */
export class ChangeListeners {
  readonly #listeners = new Set<() => void>();

  add(listener: () => void): () => void {
    // An own function each time, so that one listener may be added twice.
    const entry = (): void => listener();
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  call(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
