import { hostname, networkInterfaces } from 'node:os';
import type { Config } from '../config/index.ts';
import {
  createEtcdClient,
  EtcdMembership,
  InMemoryMembership,
  type MemberState,
  type MemberStatus,
  type Membership,
  MembershipRing,
  type Registration,
  registerRingMetrics,
} from '../ring/index.ts';
import type { Host } from './host.ts';

/** Names of the rings. Every process knows them all; each service joins its own. */
export type RingName = 'ingester' | 'distributor' | 'query-frontend' | 'compactor';

export type Members = Membership & Registration;

/** Who takes part in the installation, and where. */
export interface RingPart {
  /** This process in every ring. */
  readonly id: string;
  /** False where everything is in this process. */
  readonly isCluster: boolean;
  readonly members: Readonly<Record<RingName, Members>>;
  readonly ingesters: MembershipRing;
  /** For people: with heartbeats, as far as they are known. */
  status(ring: RingName): Promise<readonly MemberStatus[]>;
  /** `grpcPort`: where the gRPC server of this process listens. */
  join(ring: RingName, state: MemberState, grpcPort: number): Promise<void>;
}

/** An ingester that has been away for so many heartbeat timeouts is forgotten, where `autoforget_unhealthy` says so. */
const FORGET_AFTER_TIMEOUTS = 10;
/** Other services hold nothing: they are forgotten soon. */
const FORGET_STATELESS_AFTER_TIMEOUTS = 2;

/** Rejects when etcd is asked for and cannot be reached. */
export async function startRing(host: Host): Promise<RingPart> {
  const { config, clock } = host;
  const { ring } = config.common;
  const id = ring.instance_id || hostname();
  const isCluster = ring.kvstore.store === 'etcd';
  const members = isCluster ? await membersInEtcd(host) : membersInMemory(host);
  registerRingMetrics(host.registry, new Map(Object.entries(members)));
  return {
    id,
    isCluster,
    members,
    ingesters: new MembershipRing(members.ingester, { zoneAware: ring.zone_awareness_enabled }),
    status: async (name) => {
      const membership = members[name];
      return membership instanceof EtcdMembership ? membership.withHeartbeats() : membership.all();
    },
    join: async (name, state, grpcPort) => {
      const address = `${addressOf(config)}:${ring.instance_port || grpcPort}`;
      await members[name].register({ id, address, zone: ring.instance_availability_zone, state });
      host.log.logger.debug('joined the ring', { ring: name, state, address, atMs: clock.nowMs() });
    },
  };
}

function membersInMemory({ clock }: Host): RingPart['members'] {
  const ring = (): Members => new InMemoryMembership(clock);
  return { ingester: ring(), distributor: ring(), 'query-frontend': ring(), compactor: ring() };
}

async function membersInEtcd(host: Host): Promise<RingPart['members']> {
  const { kvstore, heartbeat_period, heartbeat_timeout } = host.config.common.ring;
  const { etcd } = kvstore;
  const client = await createEtcdClient({
    endpoints: etcd.endpoints,
    dialTimeoutMs: etcd.dial_timeout,
    ...(etcd.username !== '' && { username: etcd.username, password: etcd.password }),
    ...(etcd.tls_enabled && {
      tls: {
        certPath: etcd.tls_cert_path,
        keyPath: etcd.tls_key_path,
        caPath: etcd.tls_ca_path,
        serverName: etcd.tls_server_name,
        insecureSkipVerify: etcd.tls_insecure_skip_verify,
      },
    }),
  });
  host.onStop('etcd', async () => client.close());
  const start = async (ring: RingName, autoforgetMs: number): Promise<Members> => {
    const membership = new EtcdMembership({
      client,
      prefix: kvstore.prefix,
      ring,
      heartbeatPeriodMs: heartbeat_period,
      heartbeatTimeoutMs: heartbeat_timeout,
      autoforgetMs,
      dialTimeoutMs: etcd.dial_timeout,
      maxRetries: etcd.max_retries,
      clock: host.clock,
      logger: host.logger('ring'),
    });
    await membership.start();
    host.onStop('ring', () => membership.stop());
    return membership;
  };
  const forgetsIngesters = host.config.ingester.autoforget_unhealthy;
  const [ingester, distributor, frontend, compactor] = await Promise.all([
    start('ingester', forgetsIngesters ? FORGET_AFTER_TIMEOUTS * heartbeat_timeout : 0),
    start('distributor', FORGET_STATELESS_AFTER_TIMEOUTS * heartbeat_timeout),
    start('query-frontend', FORGET_STATELESS_AFTER_TIMEOUTS * heartbeat_timeout),
    start('compactor', FORGET_STATELESS_AFTER_TIMEOUTS * heartbeat_timeout),
  ]);
  return { ingester, distributor, 'query-frontend': frontend, compactor };
}

/** What others call this machine. */
function addressOf({ common }: Config): string {
  const address = common.ring.instance_addr || common.instance_addr || (networkAddress() ?? hostname());
  return address.includes(':') ? `[${address}]` : address;
}

/** Of the first network card that is none of the machine's own. */
function networkAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}
