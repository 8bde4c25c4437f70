/** A whole cluster on one machine: every service a process of its own, on real etcd, S3, memcached or Redis. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { stringify } from 'yaml';
import { type ObjectStore, startObjectStore } from '../../storage/objectstore/index.ts';
import { TestServer } from '../harness/server.ts';
import { Daemon, freePorts, requirePrograms } from '../servers/daemon.ts';
import { type RadosGateway, startRadosGateway } from '../servers/radosgw.ts';
import { FaultyS3 } from './s3-faults.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Name of a member, what it runs, and the arguments that only it gets. */
export type MemberSpec = readonly [name: string, target: string, ...args: string[]];

/** Every service a process of its own. */
export const MEMBERS: readonly MemberSpec[] = [
  ['ingester-1', 'ingester'],
  ['ingester-2', 'ingester'],
  ['ingester-3', 'ingester'],
  ['distributor-1', 'distributor'],
  ['distributor-2', 'distributor'],
  ['frontend-1', 'query-frontend'],
  ['querier-1', 'querier'],
  ['querier-2', 'querier'],
  ['compactor-1', 'compactor,ruler'],
];

/** What other machines do for the cluster. */
export class Backends {
  readonly directory: string;
  readonly s3: FaultyS3;
  readonly #gateway: RadosGateway;
  readonly #cachePorts: readonly number[];
  readonly #etcdPorts: readonly number[];
  readonly #caches = new Map<'memcached' | 'redis', Daemon>();
  #etcd: Daemon | undefined;

  private constructor(directory: string, gateway: RadosGateway, s3: FaultyS3, ports: readonly number[]) {
    this.directory = directory;
    this.#gateway = gateway;
    this.s3 = s3;
    this.#etcdPorts = ports.slice(0, 2);
    this.#cachePorts = ports.slice(2);
  }

  /** Throws with the way to install what is missing. */
  static async start(): Promise<Backends> {
    await requirePrograms('etcd', 'memcached', 'redis-server');
    const directory = await mkdtemp(join(tmpdir(), 'loptr-cluster-'));
    const gateway = await startRadosGateway();
    const backends = new Backends(directory, gateway, await FaultyS3.start(gateway.endpoint), await freePorts(4));
    await backends.startEtcd();
    await backends.#startCaches();
    return backends;
  }

  get etcdPort(): number {
    return this.#etcdPorts[0]!;
  }
  get memcached(): string {
    return `127.0.0.1:${this.#cachePorts[0]}`;
  }
  get redis(): string {
    return `127.0.0.1:${this.#cachePorts[1]}`;
  }
  get credentials(): Pick<RadosGateway, 'accessKeyId' | 'secretAccessKey' | 'region'> {
    return this.#gateway;
  }

  /** An empty bucket. */
  async createBucket(bucket: string): Promise<void> {
    const { accessKeyId, secretAccessKey, region, endpoint } = this.#gateway;
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
  }

  /** What the members of a cluster stored. */
  openStore(bucket: string): Promise<ObjectStore> {
    const { accessKeyId, secretAccessKey, region, endpoint } = this.#gateway;
    return startObjectStore({
      kind: 's3',
      bucket,
      endpoint,
      region,
      accessKeyId,
      secretAccessKey,
      forcePathStyle: true,
    });
  }

  /** On the same ports and data as before. */
  async startEtcd(): Promise<void> {
    const [client, peer] = this.#etcdPorts.map((port) => `http://127.0.0.1:${port}`);
    const args = ['--data-dir', join(this.directory, 'etcd'), '--unsafe-no-fsync', '--logger', 'zap', '--log-level'];
    args.push('warn', '--listen-client-urls', client!, '--advertise-client-urls', client!, '--listen-peer-urls', peer!);
    args.push('--initial-advertise-peer-urls', peer!, '--initial-cluster', `default=${peer}`);
    this.#etcd = await Daemon.start('etcd', args, join(this.directory, 'etcd.out'));
    await this.#etcd.answers(`${client}/health`);
  }

  async stopEtcd(): Promise<void> {
    await this.#etcd?.stop('SIGKILL');
  }

  async stopCache(name: 'memcached' | 'redis'): Promise<void> {
    await this.#caches.get(name)?.stop('SIGKILL');
  }

  /** Of an etcd that is stopped: the next start is that of a new one. */
  async loseEtcdData(): Promise<void> {
    await rm(join(this.directory, 'etcd'), { recursive: true, force: true });
  }

  async stop(): Promise<void> {
    await this.stopEtcd();
    for (const cache of this.#caches.keys()) await this.stopCache(cache);
    await this.s3.stop();
    await this.#gateway.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #startCaches(): Promise<void> {
    const [memcached, redis] = this.#cachePorts.map(String);
    const ownUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
    const start = (program: string, ...args: string[]) =>
      Daemon.start(program, args, join(this.directory, `${program}.out`));
    const memcachedArgs = [...ownUser, '-l', '127.0.0.1', '-p', memcached!, '-m', '64'];
    this.#caches.set('memcached', await start('memcached', ...memcachedArgs));
    const redisArgs = ['--port', redis!, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.#caches.set('redis', await start('redis-server', ...redisArgs));
  }
}

export interface ClusterOptions {
  /** Instead of `MEMBERS`. Queriers know the address of the first member that runs only a query frontend. */
  readonly members?: readonly MemberSpec[];
  /** Merged into the configuration of all members, block by block. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly replicationFactor?: number;
  /** Where the query frontend keeps results. */
  readonly cache?: 'memcached' | 'redis' | 'none';
  /** What the members write goes to this process' own output. */
  readonly verbose?: boolean;
}

/** Time until a member without a heartbeat counts as unhealthy. */
export const HEARTBEAT_TIMEOUT_MS = 5000;
const READY_MS = 120_000;

interface Member {
  readonly name: string;
  readonly target: string;
  readonly ports: { readonly http: number; readonly grpc: number };
  /** What stands between an ingester and everybody else. */
  readonly ways: readonly TcpProxy[];
  readonly args: readonly string[];
  process: TestServer | null;
  /** A signal or a request of the test is the reason if the process ends now. */
  mayEnd: boolean;
}

export class Cluster {
  readonly #backends: Backends;
  readonly #directory: string;
  readonly #members = new Map<string, Member>();
  readonly #output: 'collect' | 'inherit';
  /** Of processes that ended though nobody wanted that. */
  readonly #surprises: string[] = [];

  private constructor(backends: Backends, directory: string, output: 'collect' | 'inherit') {
    this.#backends = backends;
    this.#directory = directory;
    this.#output = output;
  }

  /** Resolves once every member is ready. */
  static async start(backends: Backends, options: ClusterOptions = {}): Promise<Cluster> {
    const { members = MEMBERS } = options;
    const directory = await mkdtemp(join(backends.directory, 'members-'));
    const cluster = new Cluster(backends, directory, options.verbose ? 'inherit' : 'collect');
    const { bucket } = cluster;
    await backends.createBucket(bucket);
    const ports = await freePorts(2 * members.length);
    for (const [i, spec] of members.entries()) await cluster.#add(spec, ports[2 * i]!, ports[2 * i + 1]!);
    const frontend = members.find(([, target]) => target === 'query-frontend');
    const frontendPort = frontend && cluster.#member(frontend[0]).ports.grpc;
    await writeFile(cluster.#configFile, stringify(configOf(backends, bucket, frontendPort, options)));
    const started = await Promise.allSettled(cluster.names().map((name) => cluster.restart(name)));
    for (const result of started) {
      if (result.status === 'fulfilled') continue;
      await cluster.kill();
      throw result.reason;
    }
    return cluster;
  }

  /** One more member; resolves once it is ready. */
  async grow(...spec: MemberSpec): Promise<void> {
    const [http, grpc] = (await freePorts(2)) as [number, number];
    await this.#add(spec, http, grpc);
    await this.restart(spec[0]);
  }

  async #add([name, target, ...own]: MemberSpec, http: number, grpc: number): Promise<void> {
    const ways: TcpProxy[] = [];
    const args = [`-config.file=${this.#configFile}`, `-target=${target}`, `-common.storage.ring.instance-id=${name}`];
    if (target === 'ingester') {
      // Everything that reaches an ingester and that it reaches can be cut.
      ways.push(await TcpProxy.start(() => grpc), await TcpProxy.start(() => this.#backends.etcdPort));
      ways.push(await TcpProxy.start(() => Number(new URL(this.#backends.s3.endpoint).port)));
      const [front, etcd, s3] = ways.map((way) => way.port);
      args.push(`-common.storage.ring.instance-port=${front}`);
      args.push(`-common.storage.ring.etcd.endpoints=http://127.0.0.1:${etcd}`);
      args.push(`-common.storage.s3.endpoint=http://127.0.0.1:${s3}`);
    }
    await mkdir(join(this.#directory, name));
    this.#members.set(name, {
      name,
      target,
      ports: { http, grpc },
      ways,
      args: [...args, ...own],
      process: null,
      mayEnd: false,
    });
  }

  get #configFile(): string {
    return join(this.#directory, 'loptr.yaml');
  }

  get bucket(): string {
    return basename(this.#directory).toLowerCase();
  }

  names(target?: string): string[] {
    return [...this.#members.values()].filter((m) => target === undefined || m.target === target).map((m) => m.name);
  }

  url(name: string): string {
    return `http://127.0.0.1:${this.#member(name).ports.http}`;
  }

  /** `host:port` of the gRPC server of the member. */
  grpc(name: string): string {
    return `127.0.0.1:${this.#member(name).ports.grpc}`;
  }

  /** What the member wrote so far. */
  log(name: string): string {
    return this.#member(name).process?.log ?? '';
  }

  pid(name: string): number {
    return this.#member(name).process!.pid;
  }

  /** Starts a member that does not run; resolves once it is ready. */
  async restart(name: string): Promise<void> {
    const member = this.#member(name);
    const { args, ports } = member;
    const options = { cwd: join(this.#directory, name), args, ports, output: this.#output, readyMs: READY_MS };
    member.mayEnd = false;
    const server = await TestServer.start(options);
    member.process = server;
    void server.exited.then(({ code, signal }) => {
      if (member.mayEnd) return;
      this.#surprises.push(`${name} ended by itself with ${signal ?? code}:\n${server.log.slice(-3000)}`);
    });
  }

  signal(name: string, signal: NodeJS.Signals): void {
    const member = this.#member(name);
    if (signal === 'SIGTERM' || signal === 'SIGKILL') member.mayEnd = true;
    member.process?.kill(signal);
  }

  /** Sends the signal and waits for the end of the process. Resolves with its code; null for a process that was killed. */
  async end(name: string, signal: NodeJS.Signals): Promise<number | null> {
    this.signal(name, signal);
    return this.ended(name);
  }

  /** Waits for the process to end, as it was told to. */
  async ended(name: string): Promise<number | null> {
    const member = this.#member(name);
    member.mayEnd = true;
    const end = await member.process?.exited;
    return end?.code ?? null;
  }

  /** Nothing reaches the member and it reaches nothing, until `mend`. */
  cut(name: string): void {
    for (const way of this.#member(name).ways) way.cut();
  }

  mend(name: string): void {
    for (const way of this.#member(name).ways) way.mend();
  }

  /** Everything stops in the order in which an operator would: what writes first, what is asked last. */
  async stop(): Promise<void> {
    for (const target of ['distributor', 'ingester', 'query-frontend', 'querier', 'compactor,ruler']) {
      await Promise.all(this.names(target).map((name) => this.end(name, 'SIGTERM')));
    }
    await this.kill();
  }

  /** Throws when a process had ended before, though nobody wanted that. */
  async kill(): Promise<void> {
    await Promise.all(this.names().map((name) => this.end(name, 'SIGKILL')));
    for (const { ways } of this.#members.values()) for (const way of ways) await way.stop();
    if (this.#surprises.length > 0) throw new Error(this.#surprises.join('\n'));
  }

  #member(name: string): Member {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`there is no member ${name}`);
    return member;
  }
}

function configOf(
  backends: Backends,
  bucket: string,
  frontendPort: number | undefined,
  options: ClusterOptions,
): Record<string, unknown> {
  const { accessKeyId, secretAccessKey, region } = backends.credentials;
  const { cache = 'memcached', replicationFactor = 3, config = {} } = options;
  const caches = {
    memcached: { memcached_client: { addresses: backends.memcached } },
    redis: { redis: { endpoint: backends.redis } },
  };
  const base = {
    auth_enabled: true,
    common: {
      path_prefix: '.',
      replication_factor: replicationFactor,
      storage: {
        s3: {
          endpoint: backends.s3.endpoint,
          bucketnames: bucket,
          region,
          access_key_id: accessKeyId,
          secret_access_key: secretAccessKey,
          s3forcepathstyle: true,
        },
      },
      ring: {
        kvstore: {
          store: 'etcd',
          prefix: `${bucket}/`,
          etcd: { endpoints: [`http://127.0.0.1:${backends.etcdPort}`] },
        },
        instance_addr: '127.0.0.1',
        heartbeat_period: '1s',
        heartbeat_timeout: `${HEARTBEAT_TIMEOUT_MS}ms`,
      },
    },
    schema_config: { configs: [{ from: '2020-10-24', store: 'tsdb', object_store: 's3', schema: 'v13' }] },
    ...(frontendPort && { frontend_worker: { frontend_address: `127.0.0.1:${frontendPort}` } }),
    query_range: cache === 'none' ? {} : { cache_results: true, results_cache: { cache: caches[cache] } },
  };
  return mergeBlocks(base, config);
}

function mergeBlocks(base: Record<string, unknown>, over: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = merged[key];
    merged[key] = isBlock(old) && isBlock(value) ? mergeBlocks(old, value) : value;
  }
  return merged;
}

const isBlock = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
