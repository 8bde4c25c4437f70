/** A process that is one member of a ring until it is killed: `etcd-member.ts <endpoint> <prefix> <id>`. */
import { createEtcdClient, EtcdMembership } from '../../services/ring/index.ts';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';

const [endpoint, prefix, id] = process.argv.slice(2);
const membership = new EtcdMembership({
  client: await createEtcdClient({ endpoints: [endpoint!], dialTimeoutMs: 5000 }),
  prefix: prefix!,
  ring: 'ingester',
  heartbeatPeriodMs: 500,
  heartbeatTimeoutMs: 2000,
  dialTimeoutMs: 5000,
  maxRetries: 10,
  clock: systemClock,
  logger: silentLogger,
});
await membership.start();
await membership.register({ id: id!, address: `${id}:9095`, zone: '', state: 'ACTIVE' });
