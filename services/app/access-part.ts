import type { SecureContextOptions } from 'node:tls';
import { AccessControl, namesOf, readTls, readUsers, WatchedFiles } from '../access/index.ts';
import type { Config } from '../config/index.ts';
import type { GrpcClientTls } from '../rpc/grpc-client-tls.ts';
import type { Host } from './host.ts';

/** Users and tokens, where they are configured; the file is read again when it changes. */
export async function startAccess(host: Host): Promise<AccessControl | undefined> {
  const { users_file: file, open_metrics: openMetrics } = host.config.access;
  if (file === '') return undefined;
  const users = await watch(
    host,
    [file],
    ([content]) => readUsers(content!.toString('utf8'), file),
    (changed) => access.replaceUsers(changed),
  );
  const access = new AccessControl(users.value, openMetrics);
  return access;
}

/** Certificates of one door; `onChange` is told of new ones. */
export async function startTls(
  host: Host,
  settings: Config['server']['http_tls_config'] | Config['server']['grpc_tls_config'],
  onChange: (context: SecureContextOptions) => void,
): Promise<WatchedFiles<SecureContextOptions> | undefined> {
  if (settings.cert_file === '') return undefined;
  const isNewest = host.config.server.tls_min_version === 'VersionTLS13';
  const files = {
    certFile: settings.cert_file,
    keyFile: settings.key_file,
    clientCaFile: settings.client_ca_file,
    minVersion: isNewest ? 'TLSv1.3' : 'TLSv1.2',
  } as const;
  return watch(host, namesOf(files), (contents) => readTls(files, contents), onChange);
}

/** What connections to other processes show and take, undefined for plain text; `onChange` is told of other files. */
export async function startClientTls(
  host: Host,
  settings: Config['ingester_client']['grpc_client_config'],
  onChange: (tls: GrpcClientTls) => void,
): Promise<GrpcClientTls | undefined> {
  if (!settings.tls_enabled) return undefined;
  const { channelSecurity } = await import('../rpc/grpc-client-tls.ts'); // gRPC weighs some MB
  const files = { ca: settings.tls_ca_path, cert: settings.tls_cert_path, key: settings.tls_key_path };
  const given = Object.entries(files).filter(([, file]) => file !== '');
  const watched = await watch(
    host,
    given.map(([, file]) => file),
    (contents) => {
      const tls: GrpcClientTls = {
        ...Object.fromEntries(given.map(([field], i) => [field, contents[i]])),
        ...(settings.tls_server_name !== '' && { serverName: settings.tls_server_name }),
        insecureSkipVerify: settings.tls_insecure_skip_verify,
      };
      channelSecurity(tls, ''); // a certificate that is not the key's must be told before it is used
      return tls;
    },
    onChange,
  );
  return watched.value;
}

async function watch<T>(
  host: Host,
  files: readonly string[],
  read: (contents: readonly Buffer[]) => T,
  onChange: (value: T) => void,
): Promise<WatchedFiles<T>> {
  const { config, clock } = host;
  const watched = await WatchedFiles.start({
    files,
    read,
    onChange,
    periodMs: config.access.reload_period,
    clock,
    logger: host.logger('access'),
  });
  host.onStop('files', () => watched.stop());
  return watched;
}
