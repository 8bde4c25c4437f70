import { Registry } from 'prom-client';
import snappy from 'snappyjs';
import { decodeMetadataSet } from '../../../storage/block/metadata-set.ts';
import { type LogFields, silentLogger } from '../../../storage/host/logger.ts';
import { defaultLimits, type Limits } from '../../config/limits.ts';
import { InMemoryMembership, MembershipRing } from '../../ring/index.ts';
import type { IngesterClient } from '../../rpc/ingester.ts';
import { decodePushBatch } from '../../rpc/push-batch.ts';
import { PushError } from '../push-error.ts';
import { Distributor, type DistributorOptions, type PushRequest } from '../service.ts';
import { ManualClock } from './manual-clock.ts';

/** 2026-11-20T10:00:00Z. */
export const NOW_MS = 1_795_168_800_000;
export const NOW_NS = String(NOW_MS * 1000).concat('000');

export interface StoredEntry {
  readonly stream: string;
  readonly ns: bigint;
  readonly line: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Setup {
  readonly distributor: Distributor;
  readonly clock: ManualClock;
  readonly registry: Registry;
  readonly membership: InMemoryMembership;
  readonly logged: LogFields[];
  /** Changes what the tenant may do from here on. */
  limit(limits: Partial<Limits>): void;
  /** Pushes a body; resolves to status and text of the answer. */
  send(
    request: Partial<PushRequest> & Pick<PushRequest, 'body'>,
    signal?: AbortSignal,
  ): Promise<[status: number, text: string]>;
  /** Pushes JSON of the v1 shape, given as `streams`. */
  json(streams: unknown): Promise<[status: number, text: string]>;
  /** What the ingesters got since the last call. */
  stored(): StoredEntry[];
}

/** A distributor with ingesters that keep what they get, on a clock that stands still. */
export function setUp(
  limits: Partial<Limits> = {},
  options: Partial<DistributorOptions> & {
    readonly onPush?: (id: string, batch: Uint8Array) => Promise<void> | void;
  } = {},
): Setup {
  const clock = new ManualClock(NOW_MS);
  const registry = new Registry();
  const membership = new InMemoryMembership(clock);
  void membership.register({ id: 'ingester-1', address: '', zone: '', state: 'ACTIVE' }); // in memory, at once
  let current: Limits = { ...defaultLimits, ...limits };
  let stored: StoredEntry[] = [];
  const logged: LogFields[] = [];
  const client = (id: string): IngesterClient =>
    ({
      id,
      push: async (batch: Uint8Array) => {
        await options.onPush?.(id, batch);
        stored.push(...entriesOf(batch));
      },
    }) as Partial<IngesterClient> as IngesterClient;
  const distributor = new Distributor({
    limits: { for: () => current },
    ring: new MembershipRing(membership),
    ingesters: client,
    clock,
    logger: { ...silentLogger, error: (_, fields) => logged.push(fields ?? {}) },
    registry,
    ...options,
  });
  const send: Setup['send'] = async (request, signal) => {
    try {
      const defaults = { tenant: 'T', contentType: 'application/json', contentEncoding: '', format: 'loki' } as const;
      await distributor.push({ ...defaults, ...request }, signal);
      return [204, ''];
    } catch (error: unknown) {
      if (error instanceof PushError) return [error.status, error.message];
      throw error;
    }
  };
  return {
    distributor,
    clock,
    registry,
    membership,
    logged,
    limit: (change) => {
      current = { ...current, ...change };
    },
    send,
    json: (streams) => send({ body: Buffer.from(JSON.stringify({ streams })) }),
    stored: () => {
      const all = stored;
      stored = [];
      return all;
    },
  };
}

export const compressed = (message: Uint8Array): Buffer => snappy.compress(Buffer.from(message));

function entriesOf(bytes: Uint8Array): StoredEntry[] {
  return decodePushBatch(bytes).streams.flatMap((stream) => {
    let at = 0;
    return Array.from({ length: stream.rowCount }, (_, row) => {
      const start = at;
      at += stream.lineLengths[row]!;
      const set = stream.metaIndexes[row]!;
      const from = set > 1 ? stream.metaEnds[set - 2]! : 0;
      const pairs = set > 0 ? decodeMetadataSet(stream.metaBytes, from, stream.metaEnds[set - 1]!) : [];
      return {
        stream: stream.labels,
        ns: stream.baseNs + BigInt(stream.offsetsNs[row]!),
        line: stream.lineBytes.toString('utf8', start, at),
        metadata: Object.fromEntries(pairs),
      };
    });
  });
}
