import type { Clock } from '../../storage/host/clock.ts';
import { type Route, ringRoutes } from '../http/index.ts';
import type { RingName, RingPart } from './ring-part.ts';

/** `/ring` and the pages of the other rings, under Loki's names. One process shows itself in all of them. */
export function ringPages(ring: RingPart, clock: Clock, findsPatterns: boolean): Route[] {
  const nowMs = () => clock.nowMs();
  const shares = () => ring.ingesters.shares();
  if (!ring.isCluster) return ringRoutes({ members: () => ring.status('ingester'), nowMs, shares, findsPatterns });
  const page = (name: RingName, path: string) =>
    ringRoutes({
      members: () => ring.status(name),
      nowMs,
      forget: (id) => ring.members[name].forget(id),
      paths: [path],
      ...(name === 'ingester' && { shares, findsPatterns }),
    });
  return [
    ...page('ingester', '/ring'),
    ...page('distributor', '/distributor/ring'),
    ...page('compactor', '/compactor/ring'),
  ];
}
