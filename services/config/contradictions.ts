import type { Config } from './schema.ts';
import { parseTargets, SERVICES, type Service } from './targets.ts';

/** Values that are each right and cannot stand together. */
export function contradictions(config: Config): string[] {
  const problems: string[] = [];
  problems.push(...clusterProblems(config));
  const store = config.schema_config.configs.at(-1)?.object_store;
  if (store === 's3' || store === 'aws') {
    const { aws } = config.storage_config;
    const { s3 } = config.common.storage;
    if ([aws.bucketnames, aws.s3, s3.bucketnames, s3.s3].every((text) => text === '')) {
      problems.push(
        'schema_config: object_store is s3, expected storage_config.aws.bucketnames or common.storage.s3.bucketnames',
      );
    }
  }
  if (config.compactor.retention_enabled && config.compactor.delete_request_store === '') {
    problems.push(
      'invalid compactor config: compactor.delete-request-store should be configured when retention is enabled',
    );
  }
  for (const name of ['http_tls_config', 'grpc_tls_config'] as const) {
    const { cert_file: cert, key_file: key, client_auth_type: clientAuth, client_ca_file: ca } = config.server[name];
    const verifies = clientAuth === 'VerifyClientCertIfGiven' || clientAuth === 'RequireAndVerifyClientCert';
    const problem = (text: string) => problems.push(`server.${name}: ${text}`);
    if ((cert === '') !== (key === '')) problem('cert_file and key_file must be set together');
    if (cert === '' && (ca !== '' || clientAuth !== '')) problem('client_auth_type and client_ca_file need cert_file');
    if (verifies && ca === '') problem(`client_auth_type ${clientAuth} needs client_ca_file`);
    if (ca !== '' && !verifies) problem('client_ca_file is set, but client_auth_type does not verify certificates');
  }
  const prefix = config.server.http_path_prefix || config.http_prefix;
  if (prefix !== '' && !prefix.startsWith('/')) {
    problems.push(`server.http_path_prefix: expected a path that begins with /, got ${JSON.stringify(prefix)}`);
  }
  return problems;
}

/** One process keeps its ring in memory; whatever is more than one needs etcd. */
function clusterProblems({ target, common }: Config): string[] {
  let services: ReadonlySet<Service>;
  try {
    services = parseTargets(target);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [`target: ${error.message}`];
  }
  const { store, etcd } = common.ring.kvstore;
  if (store === 'etcd') {
    return etcd.endpoints.length > 0 ? [] : ['common.ring.kvstore.etcd.endpoints: expected the addresses of etcd'];
  }
  const problems: string[] = [];
  const needsEtcd = `needs common.ring.kvstore.store: etcd, got ${store}`;
  if (services.size < SERVICES.length) problems.push(`target: a part of the services, ${target}, ${needsEtcd}`);
  if (common.replication_factor > 1) {
    problems.push(
      `common.replication_factor: one process is one ingester, so ${common.replication_factor} ${needsEtcd}`,
    );
  }
  return problems;
}
