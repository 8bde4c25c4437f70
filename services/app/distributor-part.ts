import { Distributor } from '../distributor/index.ts';
import type { Host } from './host.ts';
import { type IngestersPart, maxPushBytesOf } from './ingesters-part.ts';
import type { RingPart } from './ring-part.ts';

/** Takes pushes for the ingesters of the ring. */
export function distributorOf(host: Host, ring: RingPart, { client }: IngestersPart): Distributor {
  const { config, limits, clock, registry } = host;
  return new Distributor({
    limits,
    ring: ring.ingesters,
    ingesters: client,
    clock,
    logger: host.logger('distributor'),
    registry,
    replicationFactor: config.common.replication_factor,
    ...(ring.isCluster && { maxBatchBytes: maxPushBytesOf(config) }),
    maxReceivedBytes: config.distributor.max_recv_msg_size,
    maxDecompressedBytes: config.distributor.max_decompressed_size,
    distributorCount: () => ring.members.distributor.healthy().length,
    otlpIndexAttributes: config.distributor.otlp_config.default_resource_attributes_as_index_labels,
  });
}
