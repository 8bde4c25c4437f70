import type { SegmentCatalog } from '../../storage/index/index.ts';
import type { Config } from '../config/index.ts';
import type { PatternIngester } from '../patterns/index.ts';
import type { CatalogKeeper } from '../querier/catalog-keeper.ts';
import { IngesterSet, onlyIngester } from '../querier/ingester-set.ts';
import { RingPatterns } from '../querier/ring-patterns.ts';
import type { MemberStatus, Membership } from '../ring/index.ts';
import type { IngesterClient } from '../rpc/ingester.ts';
import type { PatternClient } from '../rpc/patterns.ts';
import type { RecentRows } from '../rpc/recent-rows.ts';
import type { RemoteIngester } from '../rpc/remote-ingester.ts';
import { startClientTls } from './access-part.ts';
import type { Host } from './host.ts';
import type { RingPart } from './ring-part.ts';

/** The ways to the ingesters of the installation, the one of this process among them. */
export interface IngestersPart {
  /** Undefined for who is not in the ring. */
  readonly client: (id: string) => IngesterClient | undefined;
  /** Of all of them together; `keeper` looks after the catalog of this process, if it has one. */
  readonly rows: (keeper: CatalogKeeper | undefined) => RecentRows;
  /** Of all of them together; `own`: who finds them in this process. Null where patterns are not looked for. */
  readonly patterns: (own: PatternIngester | null) => PatternClient | null;
}

/** `own`: the ingester of this process; `catalog`: told what other ingesters have stored. */
export async function connectIngesters(
  host: Host,
  ring: RingPart,
  own: IngesterClient | undefined,
  catalog: SegmentCatalog | undefined,
): Promise<IngestersPart> {
  const { config, clock, registry } = host;
  if (!ring.isCluster) {
    const only = own!;
    return {
      client: (id) => (id === only.id ? only : undefined),
      rows: () => onlyIngester(only, clock),
      patterns: (own) => own,
    };
  }
  const { IngesterPool } = await import('../rpc/ingester-pool.ts'); // with gRPC, which weighs some MB
  const membership = ring.members.ingester;
  const { remote_timeout, pool_config, grpc_client_config: grpc } = config.ingester_client;
  const tls = await startClientTls(host, grpc, (changed) => pool.replaceTls(changed));
  const pool = new IngesterPool({
    members: () => membership.all(),
    ...(tls && { tls }),
    settings: {
      pushTimeoutMs: remote_timeout,
      maxReceiveBytes: grpc.max_recv_msg_size,
      maxSendBytes: grpc.max_send_msg_size,
      maxPushBytes: maxPushBytesOf(config),
      ...(catalog && {
        onSegments: (keys) => {
          for (const key of keys) catalog.add(key);
        },
      }),
    },
    healthCheck: pool_config.health_check_ingesters,
    periodMs: pool_config.client_cleanup_period,
    healthTimeoutMs: pool_config.remote_timeout,
    clock,
    logger: host.logger('ingester-client'),
    registry,
  });
  pool.start();
  const unfollow = onEachStart(membership, ({ id, address }) => pool.renew(id, address));
  host.onStop('ingester clients', async () => {
    unfollow();
    await pool.stop();
  });
  let version = -1;
  let members: ReadonlyMap<string, MemberStatus> = new Map();
  const remote = (id: string): RemoteIngester | undefined => {
    if (version !== membership.version) {
      version = membership.version;
      members = new Map(membership.all().map((member) => [member.id, member]));
    }
    const member = members.get(id);
    return member && pool.client(id, member.address);
  };
  const client = (id: string): IngesterClient | undefined => (id === own?.id ? own : remote(id));
  const rows = (keeper: CatalogKeeper | undefined): RecentRows =>
    new IngesterSet({
      readSet: () => ring.ingesters.readSet(config.common.replication_factor),
      members: () => membership.all(),
      client: (id) => client(id) ?? null,
      isReplicated: config.common.replication_factor > 1,
      clock,
      ...(keeper && { catalog: keeper }),
    });
  const patterns = (ownPatterns: PatternIngester | null): PatternClient | null => {
    if (!config.pattern_ingester.enabled) return null;
    return new RingPatterns({
      readSet: () => ring.ingesters.readSet(config.common.replication_factor),
      client: (id) => (id === own?.id ? ownPatterns : (remote(id) ?? null)),
      isReplicated: config.common.replication_factor > 1,
      clock,
    });
  };
  return { client, rows, patterns };
}

/** Calls `onStart` when a member begins to take pushes. The returned function ends that. */
function onEachStart(membership: Membership, onStart: (member: MemberStatus) => void): () => void {
  const activeOnes = () => membership.all().filter(({ state }) => state === 'ACTIVE');
  let active = new Set(activeOnes().map(({ id }) => id));
  return membership.onChange(() => {
    const now = activeOnes();
    for (const member of now) if (!active.has(member.id)) onStart(member);
    active = new Set(now.map(({ id }) => id));
  });
}

/** Of one message to an ingester: half of what its server takes leaves room for one line too many. */
export const maxPushBytesOf = ({ server }: Config): number => Math.floor(server.grpc_server_max_recv_msg_size / 2);
