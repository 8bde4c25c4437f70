import type { EtcdClient } from './etcd-client.ts';
import type { EtcdOptions } from './etcd-connections.ts';

/** A client of etcd, not connected yet. Its library is only loaded where it is asked for: a start without needs no etcd. */
export async function createEtcdClient(options: EtcdOptions): Promise<EtcdClient> {
  const client = await import('./etcd-client.ts');
  return client.createEtcdClient(options);
}
