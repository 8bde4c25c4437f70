import HashRing from 'hashring';
import { LRUCache } from 'lru-cache';
import type { Membership } from './membership.ts';

/** Which ingesters keep a stream. */
export interface Ring {
  /**
   * Distinct healthy members for the stream, `replicationFactor` of them or as many as there are. The same key keeps its
   * members as long as the membership stays the same. Throws RingError when there are fewer than a quorum.
   */
  ingestersFor(streamKey: string, replicationFactor: number): readonly string[];
}

/** No quorum: the text is what Loki answers. */
export class RingError extends Error {
  readonly code = 'ring_unavailable';
  readonly retryable = true;
}

/** Members that have to acknowledge a write. */
export function quorum(replicationFactor: number): number {
  return Math.floor(replicationFactor / 2) + 1;
}

/** Streams whose members are remembered. */
const CACHED_STREAMS = 100_000;

/** A consistent ring over the active, healthy members; it is made again when they change. */
export class MembershipRing implements Ring {
  readonly #membership: Membership;
  readonly #members = new LRUCache<string, readonly string[]>({ max: CACHED_STREAMS });
  #version = -1;
  #ids: readonly string[] = [];
  #ring: HashRing | null = null;

  constructor(membership: Membership) {
    this.#membership = membership;
  }

  ingestersFor(streamKey: string, replicationFactor: number): readonly string[] {
    this.#refresh();
    const ids = this.#ids;
    const needed = quorum(replicationFactor);
    if (this.#ring === null) throw new RingError('empty ring');
    if (ids.length < needed) {
      throw new RingError(`at least ${needed} live replicas required, could only find ${ids.length}`);
    }
    if (ids.length <= replicationFactor) return ids;
    const key = `${replicationFactor}\n${streamKey}`;
    let members = this.#members.get(key);
    if (members === undefined) {
      members = this.#ring.range(streamKey, replicationFactor);
      this.#members.set(key, members);
    }
    return members;
  }

  #refresh(): void {
    const version = this.#membership.version;
    if (version === this.#version) return;
    this.#version = version;
    this.#ids = this.#membership.healthy();
    this.#ring = this.#ids.length === 0 ? null : new HashRing([...this.#ids], 'md5');
    this.#members.clear();
  }
}
