export { InMemoryMembership, type Member, type MemberState, type MemberStatus, type Membership } from './membership.ts';
export { MembershipRing, quorum, type Ring, RingError } from './ring.ts';
