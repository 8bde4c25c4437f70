import type { MemberStatus, Membership } from './membership.ts';
import { type ReadSet, readSetOf } from './read-set.ts';
import { RingError } from './ring-error.ts';
import { MemberPoints, pointOfKey, RingPoints } from './ring-points.ts';

/** Which ingesters keep a stream. */
export interface Ring {
  /**
   * Distinct healthy members for the stream, `replicationFactor` of them or as many as there are. The same key keeps its
   * members as long as the membership stays the same. Throws RingError when there are fewer than a quorum.
   */
  ingestersFor(streamKey: string, replicationFactor: number): readonly string[];
}

/** Members that have to acknowledge a write. */
export function quorum(replicationFactor: number): number {
  return Math.floor(replicationFactor / 2) + 1;
}

export interface RingOptions {
  /**
   * Spreads the replicas of a stream evenly over the zones, one a zone where there are enough. Zones that are down count:
   * their replicas are left out as long as a quorum is found, not put elsewhere, so that a whole zone may be missing
   * from a read.
   */
  readonly zoneAware?: boolean;
}

/** How many replicas may lie in one zone. */
interface Spread {
  /** Every zone gets so many, if it has the members… */
  readonly base: number;
  /** …and so many zones one more. */
  readonly extras: number;
  /** How many come together. */
  readonly reachable: number;
}

/**
 * What holds for one version of the membership. Streams whose keys stand between the same two points have the same
 * members: these are found once a point, so that nothing is kept a stream.
 */
interface Placement {
  readonly ids: readonly string[];
  readonly points: RingPoints;
  /** Zone of each of `ids`, as a number. */
  readonly zones: Uint32Array;
  readonly zoneCount: number;
  readonly byReplicationFactor: Map<number, { readonly spread: Spread; readonly found: (readonly string[])[] }>;
}

/** A consistent ring over the active, healthy members; it is made again when they change. */
export class MembershipRing implements Ring {
  readonly #membership: Membership;
  readonly #zoneAware: boolean;
  readonly #memberPoints = new MemberPoints();
  #version = -1;
  #placement: Placement | undefined;

  constructor(membership: Membership, options: RingOptions = {}) {
    this.#membership = membership;
    this.#zoneAware = options.zoneAware ?? false;
  }

  ingestersFor(streamKey: string, replicationFactor: number): readonly string[] {
    const placement = this.#refreshed();
    let sized = placement.byReplicationFactor.get(replicationFactor);
    if (sized === undefined) {
      const found = new Array<readonly string[]>(placement.points.owners.length);
      sized = { spread: spreadOver(placement, replicationFactor), found };
      placement.byReplicationFactor.set(replicationFactor, sized);
    }
    const { spread, found } = sized;
    const needed = quorum(replicationFactor);
    if (spread.reachable < needed) throw this.#tooFew(needed, spread.reachable);
    if (spread.reachable === placement.ids.length) return placement.ids;
    const index = placement.points.find(pointOfKey(streamKey));
    return (found[index] ??= walk(placement, index, spread));
  }

  /** Whom a read has to ask. Throws RingError when too many of them are unhealthy. */
  readSet(replicationFactor: number): ReadSet {
    return readSetOf(this.#membership.all(), replicationFactor, this.#zoneAware);
  }

  /** Part of the streams that each active, healthy member is the first one for; together 1. */
  shares(): ReadonlyMap<string, number> {
    const { ids, points } = this.#refreshed();
    const shares = points.shares(ids.length);
    return new Map(ids.map((id, i) => [id, shares[i]!]));
  }

  #refreshed(): Placement {
    const version = this.#membership.version;
    if (this.#placement === undefined || version !== this.#version) {
      this.#placement = this.#made(this.#placement);
      this.#version = version;
    }
    return this.#placement;
  }

  #made(before: Placement | undefined): Placement {
    const ids = this.#membership.healthy();
    const zoneOf = new Map<string, string>();
    const known = new Map<string, number>();
    if (this.#zoneAware) {
      for (const member of this.#membership.all()) {
        if (member.state === 'PENDING') continue;
        zoneOf.set(member.id, member.zone);
        if (!known.has(member.zone)) known.set(member.zone, known.size);
      }
    }
    const isSame = before !== undefined && sameIds(before.ids, ids);
    return {
      ids,
      points: isSame ? before.points : new RingPoints(ids, this.#memberPoints),
      zones: Uint32Array.from(ids, (id) => known.get(zoneOf.get(id) ?? '') ?? 0),
      zoneCount: Math.max(known.size, 1),
      byReplicationFactor: new Map(),
    };
  }

  #tooFew(needed: number, found: number): RingError {
    const members = this.#membership.all().filter((member) => member.state !== 'PENDING');
    if (members.length === 0) return new RingError('empty ring');
    const where = this.#zoneAware ? ' across different availability zones' : '';
    const unhealthy = members.filter((member) => member.state === 'ACTIVE' && !member.healthy).map(nameOf);
    const names = unhealthy.length === 0 ? '' : ` - unhealthy instances: ${unhealthy.slice(0, NAMED).join(',')}`;
    return new RingError(`at least ${needed} live replicas required${where}, could only find ${found}${names}`);
  }
}

/** Unhealthy members that an error names at most. */
const NAMED = 10;

const nameOf = (member: MemberStatus): string => member.address || member.id;

function sameIds(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((id, i) => id === b[i]));
}

function spreadOver({ zones, zoneCount }: Placement, replicationFactor: number): Spread {
  const base = Math.floor(replicationFactor / zoneCount);
  const extras = replicationFactor % zoneCount;
  const live = new Uint32Array(zoneCount);
  for (const zone of zones) live[zone]!++;
  let reachable = 0;
  let larger = 0;
  for (const count of live) {
    reachable += Math.min(count, base);
    if (count > base) larger++;
  }
  return { base, extras, reachable: reachable + Math.min(extras, larger) };
}

/** Goes round the ring from a point until the replicas are together. */
function walk({ ids, points, zones, zoneCount }: Placement, from: number, spread: Spread): readonly string[] {
  const { owners } = points;
  const members: string[] = [];
  const inZone = new Uint32Array(zoneCount);
  let { extras } = spread;
  for (let i = from; members.length < spread.reachable; i = i + 1 === owners.length ? 0 : i + 1) {
    const owner = owners[i]!;
    const zone = zones[owner]!;
    const count = inZone[zone]!;
    if (count > spread.base || (count === spread.base && extras === 0) || members.includes(ids[owner]!)) continue;
    if (count === spread.base) extras--;
    inZone[zone]!++;
    members.push(ids[owner]!);
  }
  return members;
}
