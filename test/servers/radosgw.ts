/**
 * A real S3 server for tests: Ceph's radosgw with one monitor and one in-memory OSD, on free ports of 127.0.0.1 and a
 * directory of its own. `README.md` says how to install it.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Daemon, freePorts, requirePrograms } from './daemon.ts';

const run = promisify(execFile);
/** The first start makes its pools: 12 s on two idle cores. */
const START_DEADLINE_MS = 180_000;
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

/** Throws when the programs are not there, and with the end of a log when one does not start. */
export async function startRadosGateway(): Promise<RadosGateway> {
  await requirePrograms('ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph-authtool', 'monmaptool', 'ceph');
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
  await gateway.answers(endpoint, START_DEADLINE_MS);
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
