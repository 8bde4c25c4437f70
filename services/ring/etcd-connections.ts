import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate, rootCertificates } from 'node:tls';
import { noop } from 'cockatiel';
import { Etcd3, type IOptions } from 'etcd3';

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

/** How often a silent connection is asked whether it is alive, as etcd's own clients do. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** One for each endpoint. Reads the certificates; nothing connects yet. */
export async function connectionsTo(options: EtcdOptions): Promise<readonly Etcd3[]> {
  const isTls = options.tls !== undefined || options.endpoints.some((endpoint) => endpoint.startsWith('https:'));
  const scheme = isTls ? 'https' : 'http';
  const tls = options.tls ?? {};
  const pem = (path: string | undefined) => (path ? readFile(path) : undefined);
  const [ca, certChain, privateKey] = await Promise.all([tls.caPath, tls.certPath, tls.keyPath].map(pem));
  const rootCertificate = ca ?? Buffer.from(rootCertificates.join('\n'));
  const common: Omit<IOptions, 'hosts'> = {
    ...(isTls && {
      credentials: { rootCertificate, ...(certChain && { certChain }), ...(privateKey && { privateKey }) },
    }),
    ...(options.username && {
      auth: {
        username: options.username,
        password: options.password ?? '',
        callOptions: () => ({ deadline: Date.now() + options.dialTimeoutMs / options.endpoints.length }),
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
  return options.endpoints.map((endpoint) => {
    const address = endpoint.replace(/^https?:\/\//, '').replace(/\/$/, '');
    const connection = new Connection({ ...common, hosts: `${scheme}://${address}` });
    if (isTls) connection.verify(tls);
    return connection;
  });
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
