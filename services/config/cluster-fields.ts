import { bool, duration, int, size, strings, text } from './field.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const MB = 1024 * 1024;

/** How a client of ours checks a server and names itself. `flag`: everything before `-tls-cert-path`. */
const clientTls = (flag: string) => ({
  tls_cert_path: text('', `${flag}tls-cert-path`, 'Certificate that this process shows, in PEM.'),
  tls_key_path: text('', `${flag}tls-key-path`, 'Private key of that certificate, in PEM.'),
  tls_ca_path: text('', `${flag}tls-ca-path`, 'Certificates that vouch for the server, in PEM; empty: those of Node.'),
  tls_server_name: text('', `${flag}tls-server-name`, 'Name that the certificate must have; empty: the host.'),
  tls_insecure_skip_verify: bool(false, `${flag}tls-insecure-skip-verify`, 'Take any certificate.'),
});

const grpcClient = (flag: string) => ({
  max_recv_msg_size: size(100 * MB, `${flag}.grpc-max-recv-msg-size`, 'Largest message that is taken.', { min: 1024 }),
  max_send_msg_size: size(16 * MB, `${flag}.grpc-max-send-msg-size`, 'Largest message that is sent.', { min: 1024 }),
  tls_enabled: bool(false, `${flag}.tls-enabled`, 'Talk TLS.'),
  ...clientTls(`${flag}.`),
});

const cache = (flag: string) => ({
  embedded_cache: {
    enabled: bool(true, `${flag}.embedded-cache.enabled`, 'Keep answers in the memory of the process.'),
    max_size_mb: int(100, `${flag}.embedded-cache.max-size-mb`, 'Memory that they may take, in MB.', { min: 1 }),
    ttl: duration(60 * MINUTE, `${flag}.embedded-cache.ttl`, 'How long they are kept.', { min: 0 }),
  },
  memcached: {
    expiration: duration(0, `${flag}.memcached.expiration`, 'How long memcached keeps values; 0: as it sees fit.', {
      min: 0,
    }),
  },
  memcached_client: {
    addresses: text('', `${flag}.memcached.addresses`, 'Servers of memcached, as host:port, separated by commas.'),
    timeout: duration(100, `${flag}.memcached.timeout`, 'Time after which an answer of memcached counts as a miss.', {
      min: 1,
    }),
    max_item_size: size(MB, `${flag}.memcached.max-item-size`, 'Larger values are not kept.', { min: 0 }),
  },
  redis: {
    endpoint: text('', `${flag}.redis.endpoint`, 'Server of Redis, as host:port; used instead of memcached.'),
    timeout: duration(500, `${flag}.redis.timeout`, 'Time after which an answer of Redis counts as a miss.', {
      min: 1,
    }),
    expiration: duration(0, `${flag}.redis.expiration`, 'How long Redis keeps values; 0: as it sees fit.', { min: 0 }),
    db: int(0, `${flag}.redis.db`, 'Database of Redis.', { min: 0 }),
    username: text('', `${flag}.redis.username`, 'User of Redis.'),
    password: text('', `${flag}.redis.password`, 'Password of that user.', { secret: true }),
    tls_enabled: bool(false, `${flag}.redis.tls-enabled`, 'Talk TLS to Redis.'),
    tls_insecure_skip_verify: bool(false, `${flag}.redis.tls-insecure-skip-verify`, 'Take any certificate of Redis.'),
  },
});

/** `common.ring`: who takes part, and how that is known. */
export const ringFields = {
  kvstore: {
    store: text(
      'inmemory',
      'common.storage.ring.store',
      'Where the members of the cluster are kept: inmemory for one process, etcd for several.',
      { choices: ['inmemory', 'memberlist', 'consul', 'etcd', 'multi'] },
    ),
    prefix: text('collectors/', 'common.storage.ring.prefix', 'Put before every key of the ring.'),
    etcd: {
      endpoints: strings([], 'common.storage.ring.etcd.endpoints', 'Addresses of etcd, as host:port or URL.'),
      dial_timeout: duration(10 * SECOND, 'common.storage.ring.etcd.dial-timeout', 'Time to reach etcd.', { min: 1 }),
      max_retries: int(10, 'common.storage.ring.etcd.max-retries', 'Tries of one request to etcd at start.', {
        min: 1,
      }),
      tls_enabled: bool(false, 'common.storage.ring.etcd.tls-enabled', 'Talk TLS to etcd.'),
      ...clientTls('common.storage.ring.etcd.'),
      username: text('', 'common.storage.ring.etcd.username', 'User of etcd.'),
      password: text('', 'common.storage.ring.etcd.password', 'Password of that user.', { secret: true }),
    },
  },
  heartbeat_period: duration(
    5 * SECOND,
    'common.storage.ring.heartbeat-period',
    'How often a member renews its lease.',
    { min: 100 },
  ),
  heartbeat_timeout: duration(
    MINUTE,
    'common.storage.ring.heartbeat-timeout',
    'A member that has not renewed its lease for so long is unhealthy.',
    { min: SECOND },
  ),
  zone_awareness_enabled: bool(
    false,
    'common.storage.ring.zone-awareness-enabled',
    'Keep the copies of a stream in different zones.',
  ),
  instance_id: text('', 'common.storage.ring.instance-id', 'Name of this process in the ring; empty: its host name.'),
  instance_addr: text(
    '',
    'common.storage.ring.instance-addr',
    'Address at which others reach this process; empty: common.instance_addr, or the address of its network card.',
  ),
  instance_port: int(0, 'common.storage.ring.instance-port', 'Port of gRPC that is told to others; 0: the own one.', {
    min: 0,
    max: 65_535,
  }),
  instance_availability_zone: text('', 'common.storage.ring.instance-availability-zone', 'Zone of this process.'),
};

export const ingesterClientFields = {
  remote_timeout: duration(5 * SECOND, 'ingester.client.timeout', 'Time in which an ingester must take a push.', {
    min: 1,
  }),
  pool_config: {
    health_check_ingesters: bool(
      true,
      'distributor.health-check-ingesters',
      'Ask ingesters for their health, and leave out those that give none.',
    ),
    client_cleanup_period: duration(
      15 * SECOND,
      'distributor.client-cleanup-period',
      'How often connections to ingesters are looked after.',
      { min: 100 },
    ),
    remote_timeout: duration(SECOND, 'ingester.client.healthcheck-timeout', 'Time for an answer about health.', {
      min: 1,
    }),
  },
  grpc_client_config: grpcClient('ingester.client'),
};

export const frontendWorkerFields = {
  frontend_address: text(
    '',
    'querier.frontend-address',
    'host:port of the gRPC of query frontends; every address of that name is used. Empty: those in the ring.',
  ),
  dns_lookup_duration: duration(3 * SECOND, 'querier.dns-lookup-period', 'How often the name is looked up.', {
    min: 100,
  }),
  id: text('', 'querier.id', 'Name that this querier gives to frontends; empty: its name in the ring.'),
  grpc_client_config: grpcClient('querier.frontend-client'),
};

export const resultsCacheFields = { cache: cache('frontend') };
export const chunkStoreFields = { chunk_cache_config: cache('store.chunks-cache') };
