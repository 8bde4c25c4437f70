import type { MemberStatus } from './membership.ts';
import { RingError } from './ring-error.ts';

/**
 * Whom a read has to ask. A line is kept by a quorum of its replicas, so a read is complete as long as fewer members
 * than a quorum do not answer; with zones also while they lie in few enough zones, however many they are.
 */
export interface ReadSet {
  /** All members that may hold something, sorted by id; those that are not `healthy` count as failed from the start. */
  readonly members: readonly MemberStatus[];
  /** Members that may fail, the unhealthy ones among them; see `tolerates` for the whole rule. */
  readonly maxFailures: number;
  /** Zones of which any number of members may fail; 0 without zone awareness. */
  readonly maxFailedZones: number;
  /** Whether the others are enough when these members failed. */
  tolerates(failed: Iterable<MemberStatus>): boolean;
}

/** Throws RingError when more members are unhealthy than a read can do without, and when there are none. */
export function readSetOf(all: readonly MemberStatus[], replicationFactor: number, zoneAware: boolean): ReadSet {
  const members = all.filter((member) => member.state !== 'PENDING');
  if (members.length === 0) throw new RingError('empty ring');
  // Replicas that were never there have failed as well.
  const absent = Math.max(0, replicationFactor - members.length);
  const spare = Math.floor(replicationFactor / 2);
  const maxFailures = spare - absent;
  const zones = zoneAware ? new Set(members.map((member) => member.zone)).size : 1;
  // A zone has at most so many of the replicas of one stream.
  const maxFailedZones = zones > 1 ? Math.floor(spare / Math.ceil(replicationFactor / zones)) : 0;
  const tolerates = (failed: Iterable<MemberStatus>): boolean => {
    const ids = new Set<string>();
    const failedZones = new Set<string>();
    for (const member of failed) {
      ids.add(member.id);
      failedZones.add(member.zone);
    }
    return ids.size <= maxFailures || (maxFailedZones > 0 && failedZones.size <= maxFailedZones);
  };
  if (!tolerates(members.filter((member) => !member.healthy))) {
    throw new RingError('too many unhealthy instances in the ring');
  }
  return { members, maxFailures, maxFailedZones, tolerates };
}
