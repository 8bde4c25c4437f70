export { createEtcdClient, type EtcdClient } from './etcd-client.ts';
export type { EtcdOptions, EtcdTls } from './etcd-connections.ts';
export { EtcdMembership, type EtcdMembershipOptions } from './etcd-membership.ts';
export { InMemoryMembership } from './in-memory-membership.ts';
export type { Member, MemberState, MemberStatus, Membership, NewMember, Registration } from './membership.ts';
export { registerRingMetrics } from './metrics.ts';
export type { ReadSet } from './read-set.ts';
export { MembershipRing, quorum, type Ring, type RingOptions } from './ring.ts';
export { RingError } from './ring-error.ts';
