import { Gauge, type Registry } from 'prom-client';
import type { MemberState, Membership } from './membership.ts';

/** Loki writes this one in small letters. */
const UNHEALTHY = 'Unhealthy';
const STATES: readonly (MemberState | typeof UNHEALTHY)[] = ['PENDING', 'JOINING', 'ACTIVE', 'LEAVING', UNHEALTHY];

/** Members of each ring that this process looks at, by the ring's name. */
export function registerRingMetrics(registry: Registry, rings: ReadonlyMap<string, Membership>): void {
  const members = new Gauge({
    name: 'loki_ring_members',
    help: 'Number of members in the ring',
    labelNames: ['name', 'state'],
    registers: [registry],
    collect: () => {
      for (const [name, membership] of rings) {
        const all = Map.groupBy(membership.all(), ({ healthy, state }) => (healthy ? state : UNHEALTHY));
        for (const state of STATES) members.set({ name, state }, all.get(state)?.length ?? 0);
      }
    },
  });
}
