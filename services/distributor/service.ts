import type { Registry } from 'prom-client';
import type { Clock } from '../../storage/host/clock.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Limits, LimitsProvider } from '../config/limits.ts';
import { type Ring, RingError } from '../ring/index.ts';
import { BufferPool, freeNow } from '../rpc/buffer-pool.ts';
import { type IngesterClient, PushRejectedError } from '../rpc/ingester.ts';
import type { AcceptedStream } from './accepted-streams.ts';
import { decodeBody } from './body.ts';
import { type Admission, InflightBytes } from './inflight.ts';
import { parseMediaType } from './media-type.ts';
import { DistributorMetrics, type PushFormat, type Received } from './metrics.ts';
import { decodeOtlpBody, otlpDecoderOf } from './otlp-body.ts';
import { OtlpRows } from './otlp-rows.ts';
import { PushError } from './push-error.ts';
import { decodePushJson } from './push-json.ts';
import { type PushRows, SparePushRows } from './push-rows.ts';
import { decodePushWire } from './push-wire.ts';
import { RateLimiter } from './rate-limit.ts';
import { replicate } from './replicate.ts';
import { runSliced } from './sliced.ts';
import { decodeSnappyBlock } from './snappy-block.ts';
import { type KnownStream, StreamLabels } from './stream-labels.ts';
import { type TenantRules, tenantRules } from './tenant-rules.ts';
import { type Loss, metadataSize, validatePush } from './validate.ts';

const MB = 1024 * 1024;

/** Offsets into a body are 32 bits wide. */
const MAX_BODY_BYTES = 2 ** 32 - 1;

/** Of decoded messages and batches: some pushes of the usual size at a time. */
const KEPT_BUFFER_BYTES = 16 * MB;

export interface DistributorOptions {
  readonly limits: LimitsProvider;
  readonly ring: Ring;
  /** The client of a member of the ring; undefined when it just left. */
  readonly ingesters: (id: string) => IngesterClient | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly replicationFactor?: number;
  /** Of one batch, where ingesters are other processes: half of what their gRPC servers take. Absent in one process. */
  readonly maxBatchBytes?: number;
  /** `distributor.max_recv_msg_size`: bytes of a body as sent. */
  readonly maxReceivedBytes?: number;
  /** `distributor.max_decompressed_size`. */
  readonly maxDecompressedBytes?: number;
  /** Bytes of pushes, decompressed, that may be in work at one time. */
  readonly maxInflightBytes?: number;
  /** Live distributors, among which a `global` rate limit is divided. */
  readonly distributorCount?: () => number;
  /** `distributor.otlp_config.default_resource_attributes_as_index_labels`; none unless given. */
  readonly otlpIndexAttributes?: readonly string[];
}

export interface PushRequest {
  readonly tenant: string;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** As sent. The distributor owns it from here on and may write into it. */
  readonly body: Buffer;
  /** Which JSON shape is meant: that of `/loki/api/v1/push` or that of `/api/prom/push`. */
  readonly format: 'loki' | 'legacy';
  /** From `admit`, when the caller asked before it read the body. */
  readonly admission?: Admission;
}

/** An export of OpenTelemetry's logs. */
export type OtlpPushRequest = Omit<PushRequest, 'format'>;

/** Takes pushes: decodes, validates, limits, and writes to a quorum of ingesters. */
export class Distributor {
  readonly #options: DistributorOptions;
  readonly #metrics: DistributorMetrics;
  readonly #inflight: InflightBytes;
  readonly #labels = new StreamLabels();
  readonly #rates: RateLimiter;
  readonly #rules = new WeakMap<Limits, TenantRules>();
  readonly #buffers = new BufferPool(KEPT_BUFFER_BYTES);
  readonly #spareRows = new SparePushRows();
  /** Ingesters that were not reached last; logged when that changes. */
  readonly #unreachable = new Set<string>();
  /** What the log heard of in this way. */
  readonly #told = new WeakSet<Error>();
  readonly #replicationFactor: number;
  readonly maxReceivedBytes: number;
  readonly #maxDecompressedBytes: number;

  constructor(options: DistributorOptions) {
    this.#options = options;
    this.#replicationFactor = options.replicationFactor ?? 1;
    this.maxReceivedBytes = options.maxReceivedBytes ?? 100 * MB;
    this.#maxDecompressedBytes = Math.min(MAX_BODY_BYTES, options.maxDecompressedBytes ?? 5000 * MB);
    this.#metrics = new DistributorMetrics(options.registry, this.#replicationFactor, () => this.#inflight.total);
    this.#inflight = new InflightBytes(options.maxInflightBytes ?? 512 * MB, () => this.#metrics.shed());
    this.#rates = new RateLimiter(options.clock);
  }

  /** Takes room for a body before it is read. Throws PushError 503 when there is none. */
  admit(bytes: number): Admission {
    return this.#inflight.admit(bytes);
  }

  /**
   * Resolves when everything that was pushed is kept by a quorum. Throws PushError with Loki's status and text when
   * something was refused; valid parts may be stored all the same.
   */
  async push(request: PushRequest, signal?: AbortSignal): Promise<void> {
    const { tenant } = request;
    using admission = request.admission ?? this.admit(request.body.length);
    try {
      await this.#pushBody(request, admission, signal);
    } catch (error: unknown) {
      throw this.#asPushError(error, tenant, signal);
    }
  }

  /** Counts rows that an ingester refused. `labels` are those of its stream, as they were sent to it. */
  discarded(tenant: string, labels: string, reason: string, samples: number, bytes: number): void {
    const text = Buffer.from(labels);
    const pushed = {
      labelsForm: 'whole-selector',
      labelsStart: 0,
      labelsEnd: text.length,
      firstRow: 0,
      rowCount: samples,
      repeatedBytes: 0,
    } as const;
    const stream = this.#labels.resolve(tenant, this.#options.limits.for(tenant), pushed, text);
    this.#metrics.discarded(tenant, 'loki', [{ reason, stream, samples, bytes }]);
  }

  /** As `push`, for an export of OpenTelemetry's logs (`otlp-rows.ts`). */
  async pushOtlp(request: OtlpPushRequest, signal?: AbortSignal): Promise<void> {
    const { tenant, body, contentType, contentEncoding } = request;
    using admission = request.admission ?? this.admit(body.length);
    try {
      const plain = await decodeOtlpBody(body, contentEncoding, this.#maxDecompressedBytes);
      if (plain !== body) admission.grow(plain.length);
      const decode = otlpDecoderOf(contentType);
      const limits = this.#options.limits.for(tenant);
      const nowNs = this.#options.clock.nowNs();
      const rows = new OtlpRows(plain, this.#rulesOf(limits).otlp, limits.discover_service_name, nowNs);
      await runSliced(decode(plain, rows), signal);
      await this.#pushRows(tenant, rows.finish(), signal, 'otlp');
    } catch (error: unknown) {
      throw this.#asPushError(error, tenant, signal);
    }
  }

  /** As `push`, for a `logproto.PushRequest` as gRPC carries it, without snappy around it. The distributor owns `message`. */
  async pushMessage(tenant: string, message: Buffer, signal?: AbortSignal): Promise<void> {
    using _admission = this.admit(message.length);
    try {
      await this.#pushWire(tenant, message, signal);
    } catch (error: unknown) {
      throw this.#asPushError(error, tenant, signal);
    }
  }

  async #pushBody(request: PushRequest, admission: Admission, signal?: AbortSignal): Promise<void> {
    const { tenant } = request;
    const plain = await decodeBody(request.body, request.contentEncoding, this.#maxDecompressedBytes);
    if (plain !== request.body) admission.grow(plain.length);
    if (parseMediaType(request.contentType) === 'application/json') {
      const shape = request.format === 'loki' ? 'v1' : 'legacy';
      await this.#pushRows(tenant, await runSliced(decodePushJson(plain, shape), signal), signal);
      return;
    }
    const reserve = (bytes: number): void => admission.grow(bytes);
    const decoding = decodeSnappyBlock(plain, this.#maxDecompressedBytes, this.#buffers, reserve);
    using message = await runSliced(decoding, signal);
    freeNow(plain);
    await this.#pushWire(tenant, message.bytes, signal);
  }

  async #pushWire(tenant: string, message: Buffer, signal?: AbortSignal): Promise<void> {
    const rows = this.#spareRows.take(message);
    try {
      await this.#pushRows(tenant, await runSliced(decodePushWire(message, rows), signal), signal);
    } finally {
      this.#spareRows.give(rows);
    }
  }

  async #pushRows(tenant: string, rows: PushRows, signal?: AbortSignal, format: PushFormat = 'loki'): Promise<void> {
    const limits = this.#options.limits.for(tenant);
    const streams = rows.streams.map((pushed) => this.#labels.resolve(tenant, limits, pushed, rows.source));
    this.#metrics.received(tenant, format, receivedBy(rows, streams));
    if (streams.length === 0) throw new PushError(422, 'error at least one valid stream is required for ingestion');
    const nowMs = this.#options.clock.nowMs();
    const result = await runSliced(validatePush(rows, streams, tenant, this.#rulesOf(limits), nowMs), signal);
    this.#metrics.truncated(tenant, result.truncated);
    this.#metrics.discarded(tenant, format, result.discarded);
    if (result.accepted.length > 0) {
      this.#limitRate(tenant, limits, result.accepted, format);
      if (limits.simulated_push_latency > 0) await this.#options.clock.sleep(limits.simulated_push_latency, signal);
      await this.#write(tenant, result.accepted);
    }
    if (!result.errors.isEmpty) throw new PushError(400, result.errors.message);
    if (result.blocked !== null) throw result.blocked;
  }

  #rulesOf(limits: Limits): TenantRules {
    let rules = this.#rules.get(limits);
    if (rules === undefined) {
      rules = tenantRules(limits, this.#options.otlpIndexAttributes);
      this.#rules.set(limits, rules);
    }
    return rules;
  }

  #limitRate(tenant: string, limits: Limits, accepted: readonly AcceptedStream[], format: PushFormat): void {
    let bytes = 0;
    let lines = 0;
    for (const stream of accepted) {
      bytes += stream.bytes;
      lines += stream.lineCount;
    }
    const shares =
      limits.ingestion_rate_strategy === 'global' ? Math.max(1, this.#options.distributorCount?.() ?? 1) : 1;
    const rate = (limits.ingestion_rate_mb * MB) / shares;
    if (this.#rates.take(tenant, bytes, rate, limits.ingestion_burst_size_mb * MB)) return;
    const losses: Loss[] = accepted.map((stream) => ({
      reason: 'rate_limited',
      stream: stream.stream,
      samples: stream.lineCount,
      bytes: stream.bytes,
    }));
    this.#metrics.discarded(tenant, format, losses);
    throw new PushError(
      429,
      `ingestion rate limit exceeded for user ${tenant} (limit: ${Math.floor(rate)} bytes/sec) while attempting to ingest '${lines}' lines totaling '${bytes}' bytes, reduce log volume or contact your Loki administrator to see if the limit can be increased`,
    );
  }

  async #write(tenant: string, accepted: readonly AcceptedStream[]): Promise<void> {
    const { ring, ingesters } = this.#options;
    for (const one of accepted) {
      one.ingesters = ring.ingestersFor(`${tenant}${one.stream.text}`, this.#replicationFactor);
    }
    const send = async (id: string, batch: Uint8Array): Promise<void> => {
      try {
        const client = ingesters(id);
        if (client === undefined) throw new RingError(`ingester ${id} left the ring`);
        await client.push(batch);
        this.#metrics.appended(id, true);
        this.#reached(id);
      } catch (error: unknown) {
        this.#metrics.appended(id, false);
        if (error instanceof Error && 'retryable' in error && error.retryable === true) this.#missed(id, error);
        throw error;
      }
    };
    const { maxBatchBytes = null } = this.#options;
    await replicate(
      tenant,
      accepted,
      { replicationFactor: this.#replicationFactor, maxBatchBytes },
      send,
      this.#buffers,
    );
  }

  #missed(id: string, error: Error): void {
    this.#told.add(error);
    if (this.#unreachable.has(id)) return;
    this.#unreachable.add(id);
    this.#options.logger.warn('an ingester cannot be reached', { ingester: id, err: error });
  }

  #reached(id: string): void {
    if (this.#unreachable.delete(id)) this.#options.logger.info('an ingester takes pushes again', { ingester: id });
  }

  #asPushError(error: unknown, tenant: string, signal?: AbortSignal): PushError {
    if (error instanceof PushError) return error;
    if (error instanceof PushRejectedError) return new PushError(error.status, error.message, { cause: error });
    if (signal?.aborted) return new PushError(499, 'The request was cancelled by the client.', { cause: error });
    const message = error instanceof Error ? error.message : String(error);
    // Of an outage the log hears when it begins, not with each push.
    if (!(error instanceof Error && this.#told.has(error)))
      this.#options.logger.error('push failed', { tenant, err: error });
    return new PushError(500, message, { cause: error });
  }
}

/** Sums what came in by place in the metrics. */
function receivedBy(rows: PushRows, streams: readonly KnownStream[]): Iterable<Received> {
  const all = new Map<string, Received>();
  streams.forEach((stream, i) => {
    const { firstRow, rowCount, repeatedBytes } = rows.streams[i]!;
    if (rowCount === 0) return;
    const key = `${stream.retentionHours}\n${stream.isInternal}\n${stream.policy}`;
    let sum = all.get(key);
    if (sum === undefined) {
      sum = { stream, lines: 0, lineBytes: 0, metadataBytes: 0 };
      all.set(key, sum);
    }
    sum.lines += rowCount;
    sum.metadataBytes -= repeatedBytes;
    for (let row = firstRow; row < firstRow + rowCount; row++) {
      sum.lineBytes += rows.lineLengths[row]!;
      sum.metadataBytes += metadataSize(rows, row);
    }
  });
  return all.values();
}
