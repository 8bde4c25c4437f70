/**
 * A real S3 server for tests: Ceph's radosgw with one monitor and one in-memory OSD, on free ports of 127.0.0.1 and a
 * directory of its own. `README.md` says how to install it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const INSTALL =
  'apt-get install -y --no-install-recommends radosgw ceph-mon ceph-osd  (scripts/install-test-servers.sh)';
/** The first start makes its pools: 12 s on two idle cores. */
const START_DEADLINE_MS = 180_000;
const STOP_DEADLINE_MS = 20_000;
const USER = ['--setuser', 'root', '--setgroup', 'root'];

export interface RadosGateway {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Ends the gateway at once (SIGKILL) and leaves the rest: as an S3 that has gone away. */
  killGateway(): Promise<void>;
  /** Ends everything and removes the directory. */
  stop(): Promise<void>;
}

/** Throws with the install line when the programs are not there, and with the end of a log when one does not start. */
export async function startRadosGateway(): Promise<RadosGateway> {
  for (const program of ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph-authtool', 'monmaptool', 'ceph']) {
    await run('sh', ['-c', `command -v ${program}`]).catch((cause: unknown) => {
      throw new Error(`${program} is not installed: ${INSTALL}`, { cause });
    });
  }
  const directory = await mkdtemp(join(tmpdir(), 'loptr-rgw-'));
  const daemons: Daemon[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.toReversed()) await daemon.stop('SIGTERM');
    await rm(directory, { recursive: true, force: true });
  };
  try {
    return await startIn(directory, daemons, stop);
  } catch (error: unknown) {
    const logs = await Promise.all(daemons.map((daemon) => daemon.lastLines()));
    await stop();
    throw new Error(`radosgw does not start\n${logs.join('\n')}`, { cause: error });
  }
}

async function startIn(directory: string, daemons: Daemon[], stop: () => Promise<void>): Promise<RadosGateway> {
  const [monitorPort, gatewayPort] = await freePorts(2);
  const configuration = join(directory, 'ceph.conf');
  const clusterId = randomUUID();
  for (const folder of ['mon', 'osd', 'run']) await mkdir(join(directory, folder));
  await writeFile(join(directory, 'keyring'), '');
  await writeFile(configuration, cephConf(directory, clusterId, monitorPort!, gatewayPort!));
  const config = ['-c', configuration];
  const started = async (program: string, ...args: string[]): Promise<Daemon> => {
    const daemon = await Daemon.start(program, [...config, ...args, '-f', ...USER], join(directory, `${program}.out`));
    daemons.push(daemon);
    return daemon;
  };

  const keyring = join(directory, 'mon.keyring');
  const monitorMap = join(directory, 'monmap');
  await run('ceph-authtool', ['--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *']);
  const address = `[v2:127.0.0.1:${monitorPort}]`;
  await run('monmaptool', ['--create', '--clobber', '--fsid', clusterId, '--addv', 'a', address, monitorMap]);
  await run('ceph-mon', [...config, '--mkfs', '-i', 'a', '--monmap', monitorMap, '--keyring', keyring]);
  await started('ceph-mon', '-i', 'a');

  const osdId = randomUUID();
  await run('ceph', [...config, '--connect-timeout', '60', 'osd', 'new', osdId]);
  await run('ceph-osd', [...config, '-i', '0', '--mkfs', '--osd-uuid', osdId, ...USER]);
  await started('ceph-osd', '-i', '0');

  const gateway = await started('radosgw', '-n', 'client.rgw');
  const endpoint = `http://127.0.0.1:${gatewayPort}`;
  await untilAnswers(endpoint, gateway);
  const accessKeyId = 'test';
  const secretAccessKey = 'testsecret';
  const user = ['user', 'create', '--uid=t', '--display-name=t'];
  await run('radosgw-admin', [...config, ...user, `--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`]);
  return {
    endpoint,
    region: 'us-east-1',
    accessKeyId,
    secretAccessKey,
    killGateway: () => gateway.stop('SIGKILL'),
    stop,
  };
}

async function untilAnswers(endpoint: string, gateway: Daemon): Promise<void> {
  const deadline = Date.now() + START_DEADLINE_MS;
  for (;;) {
    gateway.checkRuns();
    try {
      await (await fetch(endpoint)).arrayBuffer();
      return;
    } catch (error: unknown) {
      if (Date.now() > deadline) throw new Error('radosgw gives no answer', { cause: error });
      await sleep(100);
    }
  }
}

class Daemon {
  readonly #program: string;
  readonly #child: ChildProcess;
  readonly #output: string;
  readonly #ended: Promise<void>;

  private constructor(program: string, child: ChildProcess, output: string) {
    this.#program = program;
    this.#child = child;
    this.#output = output;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
    });
  }

  static async start(program: string, args: readonly string[], output: string): Promise<Daemon> {
    const file = await open(output, 'w');
    try {
      const child = spawn(program, args, { stdio: ['ignore', file.fd, file.fd] });
      await new Promise((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      return new Daemon(program, child, output);
    } finally {
      await file.close();
    }
  }

  checkRuns(): void {
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) throw new Error(`${this.#program} ended: ${exitCode ?? signalCode}`);
  }

  /** A daemon that ignores SIGTERM gets SIGKILL. */
  async stop(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async lastLines(): Promise<string> {
    const text = await readFile(this.#output, 'utf8');
    return `${this.#program}:\n${text.split('\n').slice(-20).join('\n')}`;
  }
}

/** All are held open until all are known, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(0, '127.0.0.1', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** `ms_mon_client_mode = crc`: without it radosgw insists on an encryption that `auth none` cannot give. */
function cephConf(directory: string, clusterId: string, monitorPort: number, gatewayPort: number): string {
  return `[global]
fsid = ${clusterId}
mon_host = v2:127.0.0.1:${monitorPort}
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
run_dir = ${directory}/run
admin_socket = ${directory}/run/$name.asok
log_file = ${directory}/$name.log
crash_dir = ${directory}/run
pid_file = ${directory}/run/$name.pid
keyring = ${directory}/keyring
[mon]
mon_data = ${directory}/mon
mon_cluster_log_file = ${directory}/cluster.log
[osd]
osd_data = ${directory}/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_class_default_list = *
osd_class_load_list = *
[client.rgw]
ms_mon_client_mode = crc
rgw_frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
`;
}
