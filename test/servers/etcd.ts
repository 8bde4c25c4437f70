/**
 * A real etcd for tests, of one server or several, on free ports of 127.0.0.1 and in a directory of its own. `README.md` says how to
 * install it.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Etcd3 } from 'etcd3';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

export interface TestEtcdOptions {
  /** With a certificate of its own for the name `etcd.test` and its address: see `caPath`. */
  readonly tls?: boolean;
  /** A user `root` with this password; nobody else may do anything. */
  readonly rootPassword?: string;
}

export class TestEtcd {
  /** `http://127.0.0.1:port` */
  readonly endpoint: string;
  /** The certificate of the server, in PEM, which vouches for itself; '' without TLS. */
  readonly caPath: string;
  readonly #directory: string;
  readonly #args: readonly string[];
  #daemon: Daemon | undefined;

  private constructor(endpoint: string, caPath: string, directory: string, args: readonly string[]) {
    this.endpoint = endpoint;
    this.caPath = caPath;
    this.#directory = directory;
    this.#args = args;
  }

  static async start(options: TestEtcdOptions = {}): Promise<TestEtcd> {
    const [etcd] = await TestEtcd.#startAll(1, options);
    if (options.rootPassword !== undefined) await etcd!.#protect(options.rootPassword);
    return etcd!;
  }

  /** Several servers that are one etcd. */
  static startCluster(count: number): Promise<readonly TestEtcd[]> {
    return TestEtcd.#startAll(count, {});
  }

  static async #startAll(count: number, options: TestEtcdOptions): Promise<readonly TestEtcd[]> {
    await requirePrograms('etcd', 'openssl');
    const ports = await freePorts(2 * count);
    const scheme = options.tls ? 'https' : 'http';
    const peers = ports.slice(count).map((port) => `http://127.0.0.1:${port}`);
    const members = peers.map((peer, i) => `server-${i}=${peer}`).join(',');
    const servers: TestEtcd[] = [];
    try {
      for (const [i, peer] of peers.entries()) {
        const directory = await mkdtemp(join(tmpdir(), 'loptr-etcd-'));
        const caPath = options.tls ? await makeCertificate(directory) : '';
        const endpoint = `${scheme}://127.0.0.1:${ports[i]}`;
        const args = [
          ...['--name', `server-${i}`, '--data-dir', join(directory, 'data'), '--unsafe-no-fsync'],
          ...['--logger', 'zap', '--log-level', 'warn'],
          ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
          ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', members],
          ...(options.tls ? ['--cert-file', caPath, '--key-file', join(directory, 'key.pem')] : []),
        ];
        servers.push(new TestEtcd(endpoint, caPath, directory, args));
      }
      await Promise.all(servers.map((server) => server.run()));
      return servers;
    } catch (error: unknown) {
      for (const server of servers) await server.stop();
      throw error;
    }
  }

  /** Starts the server, again with its data after `kill`. */
  async run(): Promise<void> {
    this.#daemon = await Daemon.start('etcd', this.#args, join(this.#directory, 'etcd.out'));
    if (this.caPath === '') await this.#daemon.accepts(() => healthy(this.endpoint));
    else await this.#daemon.accepts(() => reachable(this.endpoint)); // its certificate is the test's affair
  }

  /** Ends the server at once, as a machine that goes away. */
  async kill(): Promise<void> {
    await this.#daemon?.stop('SIGKILL');
  }

  /** Lets it stand still, with its connections open. */
  freeze(): void {
    this.#daemon?.signal('SIGSTOP');
  }

  thaw(): void {
    this.#daemon?.signal('SIGCONT');
  }

  async loseData(): Promise<void> {
    await rm(join(this.#directory, 'data'), { recursive: true });
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop('SIGKILL');
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #protect(password: string): Promise<void> {
    const client = new Etcd3({
      hosts: this.endpoint,
      ...(this.caPath !== '' && {
        credentials: { rootCertificate: await readFile(this.caPath) },
        grpcOptions: { 'grpc.ssl_target_name_override': 'etcd.test' },
      }),
    });
    try {
      const user = client.user('root');
      await client.role('root').create();
      await user.create(password);
      await user.addRole('root');
      await client.auth.authEnable();
    } finally {
      client.close();
    }
  }
}

async function healthy(endpoint: string): Promise<void> {
  const { health } = (await (await fetch(`${endpoint}/health`)).json()) as { health: string };
  if (health !== 'true') throw new Error(`health: ${health}`);
}

async function reachable(endpoint: string): Promise<void> {
  const { hostname, port } = new URL(endpoint);
  await new Promise<void>((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

async function makeCertificate(directory: string): Promise<string> {
  const path = join(directory, 'cert.pem');
  const subject = ['-subj', '/CN=etcd.test', '-addext', 'subjectAltName=DNS:etcd.test,IP:127.0.0.1'];
  const files = ['-keyout', join(directory, 'key.pem'), '-out', path];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await promisify(execFile)('openssl', ['req', ...kind, ...subject, ...files]);
  return path;
}
