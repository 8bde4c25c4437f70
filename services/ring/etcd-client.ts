import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import { noop } from 'cockatiel';
import {
  CompareResult,
  CompareTarget,
  Etcd3,
  EtcdLeaseInvalidError,
  type IOptions,
  type IRequestOp,
  Range,
} from 'etcd3';

export interface EtcdOptions {
  /** `host:port` or URL. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly username?: string;
  readonly password?: string;
  /** For asking for a token. */
  readonly dialTimeoutMs: number;
}

/** Files in PEM. */
export interface EtcdTls {
  readonly certPath?: string;
  readonly keyPath?: string;
  /** Without it Node's certificates vouch for the server. */
  readonly caPath?: string;
  /** Name that the certificate must have; otherwise the host of the endpoint. */
  readonly serverName?: string;
  readonly insecureSkipVerify?: boolean;
}

export interface EtcdItem {
  readonly key: string;
  readonly value: Buffer;
  /** The change that wrote it. */
  readonly revision: number;
  /** '0': none. */
  readonly lease: string;
}

/** `value` undefined: removed, also with its lease. */
export interface EtcdChange {
  readonly key: string;
  readonly value: Buffer | undefined;
  readonly revision: number;
  readonly lease: string;
}

export type EtcdOperation =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: string }
  | { readonly kind: 'delete'; readonly key: string };

/** `revision` of the key; 0: there is none. */
export interface EtcdCondition {
  readonly key: string;
  readonly revision: number;
}

export interface WatchHandlers {
  /** In the order of revisions; what one transaction changed comes together. */
  readonly onChanges: (changes: readonly EtcdChange[], revision: number) => void;
  /** Once, when nothing more will come; not after `close`. */
  readonly onEnd: (error: Error) => void;
}

/** What a membership asks of etcd. Every call ends by its deadline; nothing is tried again here. */
export interface EtcdClient {
  /** Every key that begins with `prefix`, as of `revision`. */
  load(prefix: string, timeoutMs: number): Promise<{ readonly revision: number; readonly items: readonly EtcdItem[] }>;
  /** Changes from `revision` on, this one included. Resolves when etcd has taken the watch. */
  watch(
    prefix: string,
    revision: number,
    handlers: WatchHandlers,
    timeoutMs: number,
  ): Promise<{ readonly close: () => void }>;
  /** Does all operations if all conditions hold, else none. */
  commit(
    conditions: readonly EtcdCondition[],
    operations: readonly EtcdOperation[],
    timeoutMs: number,
  ): Promise<{ readonly isDone: boolean; readonly revision: number }>;
  /** Answers when a majority of etcd's servers is there. */
  probe(key: string, timeoutMs: number): Promise<void>;
  grantLease(ttlSeconds: number, timeoutMs: number): Promise<string>;
  /** False when etcd does not know the lease, or not any more. */
  renewLease(lease: string, timeoutMs: number): Promise<boolean>;
  revokeLease(lease: string, timeoutMs: number): Promise<void>;
  /** Time since the lease was renewed, to the second; undefined when there is none. */
  leaseAgeMs(lease: string, timeoutMs: number): Promise<number | undefined>;
  close(): void;
}

/** How often a silent connection is asked whether it is alive, as etcd's own clients do. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Reads the certificates; does not connect yet. One client serves all rings of a process. */
export async function createEtcdClient(options: EtcdOptions): Promise<EtcdClient> {
  const isTls = options.tls !== undefined || options.endpoints.some((endpoint) => endpoint.startsWith('https:'));
  const scheme = isTls ? 'https' : 'http';
  const tls = options.tls ?? {};
  const pem = (path: string | undefined) => (path ? readFile(path) : undefined);
  const [ca, certChain, privateKey] = await Promise.all([tls.caPath, tls.certPath, tls.keyPath].map(pem));
  const rootCertificate = ca ?? Buffer.from(rootCertificates.join('\n'));
  const etcdOptions: IOptions = {
    hosts: options.endpoints.map(
      (endpoint) => `${scheme}://${endpoint.replace(/^https?:\/\//, '').replace(/\/$/, '')}`,
    ),
    ...(isTls && {
      credentials: { rootCertificate, ...(certChain && { certChain }), ...(privateKey && { privateKey }) },
    }),
    ...(options.username && {
      auth: {
        username: options.username,
        password: options.password ?? '',
        callOptions: () => ({ deadline: Date.now() + options.dialTimeoutMs }),
      },
    }),
    grpcOptions: {
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      // Otherwise a second can pass between two tries and two minutes later on.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2000,
    },
    // Its circuit breaker would keep on refusing for seconds after etcd is back.
    faultHandling: { host: () => noop, global: noop },
  };
  const connection = new Connection(etcdOptions);
  if (isTls) connection.verify(tls);
  return new Etcd3Client(connection);
}

/** The parts of etcd3's connections that its options do not reach. */
interface Credentials {
  verifyOptions?: {
    rejectUnauthorized?: boolean;
    checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
  };
  _createSecureConnector?(target: { readonly path: string }, options: object, call: unknown): unknown;
}

/** Told to a server of which only the address is known: Node refuses to tell an address. */
const NAMELESS = 'localhost';

class Connection extends Etcd3 {
  /**
   * Sets which certificate is expected, for all connections: they share one object with the credentials. Those that ask
   * for tokens get none of the options of gRPC.
   */
  verify({ serverName, insecureSkipVerify = false }: EtcdTls): void {
    const { hosts } = this.pool as unknown as { hosts: readonly { channelCredentials: Credentials }[] };
    const credentials = hosts[0]?.channelCredentials;
    const connector = credentials?._createSecureConnector?.bind(credentials);
    if (credentials === undefined || connector === undefined) throw new Error('etcd3 keeps its credentials elsewhere');
    credentials._createSecureConnector = (target, options, call) => {
      const name = serverName || target.path.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
      credentials.verifyOptions = {
        rejectUnauthorized: !insecureSkipVerify,
        checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      };
      const told = isIP(name) === 0 ? name : NAMELESS;
      return connector(target, { ...options, 'grpc.ssl_target_name_override': told }, call);
    };
  }
}

const inTime = (timeoutMs: number): { deadline: number } => ({ deadline: Date.now() + timeoutMs });

class Etcd3Client implements EtcdClient {
  readonly #etcd: Etcd3;

  constructor(etcd: Etcd3) {
    this.#etcd = etcd;
  }

  async load(prefix: string, timeoutMs: number) {
    const { start, end } = Range.prefix(prefix);
    const found = await this.#etcd.kv.range({ key: start, range_end: end }, inTime(timeoutMs));
    const items = found.kvs.map(({ key, value, mod_revision, lease }) => ({
      key: key.toString(),
      value,
      revision: Number(mod_revision),
      lease,
    }));
    return { revision: Number(found.header.revision), items };
  }

  /**
   * A stream of its own: etcd3's watchers follow by themselves, but begin again at the revision that was current when
   * the last stream began, also when they had not got there.
   */
  async watch(prefix: string, revision: number, handlers: WatchHandlers, timeoutMs: number) {
    const { start, end } = Range.prefix(prefix);
    const stream = await this.#etcd.watchClient.watch();
    const created = Promise.withResolvers<void>();
    let isOpen = true;
    const close = (): void => {
      isOpen = false;
      stream.cancel();
    };
    const ended = (error: Error): void => {
      if (!isOpen) return;
      close();
      created.reject(error);
      handlers.onEnd(error);
    };
    stream.on('error', ended);
    stream.on('end', () => ended(new Error('etcd ended the watch')));
    stream.on('data', (response) => {
      if (!isOpen) return;
      if (response.canceled) {
        const compacted = response.compact_revision === '0' ? '' : ` (compacted at ${response.compact_revision})`;
        ended(new Error(`etcd cancelled the watch: ${response.cancel_reason || 'no reason given'}${compacted}`));
      } else if (response.created) {
        created.resolve();
      } else if (response.events.length > 0) {
        const changes = response.events.map(({ type, kv }) => ({
          key: kv.key.toString(),
          // Its types say `Delete`, the protocol `DELETE`.
          value: type.toUpperCase() === 'DELETE' ? undefined : kv.value,
          revision: Number(kv.mod_revision),
          lease: kv.lease,
        }));
        handlers.onChanges(changes, Number(response.header.revision));
      }
    });
    const timer = setTimeout(() => ended(new Error('etcd does not take the watch')), timeoutMs);
    stream.write({ create_request: { key: start, range_end: end, start_revision: revision } });
    try {
      await created.promise;
    } finally {
      clearTimeout(timer);
    }
    return { close };
  }

  async commit(conditions: readonly EtcdCondition[], operations: readonly EtcdOperation[], timeoutMs: number) {
    const compare = conditions.map(({ key, revision }) => ({
      target: CompareTarget.Mod,
      result: CompareResult.Equal,
      key: Buffer.from(key),
      mod_revision: revision,
    }));
    const success = operations.map(
      (operation): IRequestOp =>
        operation.kind === 'delete'
          ? { request_delete_range: { key: Buffer.from(operation.key) } }
          : {
              request_put: {
                key: Buffer.from(operation.key),
                value: Buffer.from(operation.value),
                ...(operation.lease !== undefined && { lease: operation.lease }),
              },
            },
    );
    const { succeeded, header } = await this.#etcd.kv.txn({ compare, success }, inTime(timeoutMs));
    return { isDone: succeeded, revision: Number(header.revision) };
  }

  async probe(key: string, timeoutMs: number): Promise<void> {
    await this.#etcd.kv.range({ key: Buffer.from(key), count_only: true }, inTime(timeoutMs));
  }

  async grantLease(ttlSeconds: number, timeoutMs: number): Promise<string> {
    return (await this.#etcd.leaseClient.leaseGrant({ TTL: ttlSeconds }, inTime(timeoutMs))).ID;
  }

  async renewLease(lease: string, timeoutMs: number): Promise<boolean> {
    const stream = await this.#etcd.leaseClient.leaseKeepAlive(inTime(timeoutMs));
    return new Promise((resolve, reject) => {
      stream.on('error', reject);
      stream.on('end', () => reject(new Error('etcd did not renew the lease')));
      stream.on('data', ({ TTL }) => {
        resolve(TTL !== '0');
        stream.end();
      });
      stream.write({ ID: lease });
    });
  }

  async revokeLease(lease: string, timeoutMs: number): Promise<void> {
    try {
      await this.#etcd.leaseClient.leaseRevoke({ ID: lease }, inTime(timeoutMs));
    } catch (error: unknown) {
      if (!(error instanceof EtcdLeaseInvalidError)) throw error; // gone is what was wanted
    }
  }

  async leaseAgeMs(lease: string, timeoutMs: number): Promise<number | undefined> {
    const { TTL, grantedTTL } = await this.#etcd.leaseClient.leaseTimeToLive({ ID: lease }, inTime(timeoutMs));
    return Number(TTL) < 0 ? undefined : (Number(grantedTTL) - Number(TTL)) * 1000;
  }

  close(): void {
    this.#etcd.close();
  }
}
