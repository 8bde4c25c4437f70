import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { crc32, zstdCompress, zstdDecompress } from 'node:zlib';
import type { Cache } from '../../storage/cache/index.ts';
import type { Logger } from '../../storage/host/logger.ts';
import type { Bounds } from '../querier/params.ts';
import type { LogPartAnswer, MetricPartAnswer } from '../querier/parts.ts';
import { QueryStats } from '../querier/stats.ts';
import { logMessage, metricMessage, readLogMessage, readMetricMessage } from './answers.ts';
import { messageType } from './messages.ts';

/*
 * A value: version (1 byte) | CRC-32 of the rest (4, little-endian) | a message CachedPart, compressed by zstd.
 */

/** Changes with everything that makes an old value wrong. */
const VERSION = 1;
const HEADER_BYTES = 5;
/** memcached takes no more by default. */
const MAX_VALUE_BYTES = 1000 * 1024;
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

/** All that the answer of a part depends on but the stored rows and its time. */
export type PartKey = readonly (string | number | boolean | readonly string[])[];

/** An answer of the past, good for as long as the fingerprint of its time is the same. */
export interface Kept<T> extends Bounds {
  readonly fingerprint: string;
  readonly answer: T;
}

/** Answers to parts of queries in a `Cache`. Whatever cannot be read, or was meant for another key, is not there. */
export class ResultsCache {
  readonly #cache: Cache;
  readonly #logger: Logger;
  #hasComplained = false;

  constructor(cache: Cache, logger: Logger) {
    this.#cache = cache;
    this.#logger = logger;
  }

  async metric(key: PartKey): Promise<Kept<MetricPartAnswer> | null> {
    return this.#get(key, ({ metric }) => (metric == null ? null : readMetricMessage(metric)));
  }

  async log(key: PartKey): Promise<Kept<LogPartAnswer> | null> {
    return this.#get(key, ({ log }) => (log == null ? null : readLogMessage(log)));
  }

  /** Whether it was kept. */
  keepMetric(key: PartKey, bounds: Bounds, answer: MetricPartAnswer): Promise<boolean> {
    return this.#keep(key, bounds, answer, { metric: metricMessage(withoutFigures(answer)) });
  }

  keepLog(key: PartKey, bounds: Bounds, answer: LogPartAnswer): Promise<boolean> {
    return this.#keep(key, bounds, answer, { log: logMessage(withoutFigures(answer)) });
  }

  async #get<T>(
    key: PartKey,
    // biome-ignore lint/suspicious/noExplicitAny: the shape is that of the .proto file
    read: (plain: any) => T | null,
  ): Promise<Kept<T> | null> {
    const text = JSON.stringify(key);
    const value = await this.#cache.get(nameOf(text));
    if (value === null) return null;
    try {
      if (value.length < HEADER_BYTES || value[0] !== VERSION) return null;
      const packed = value.subarray(HEADER_BYTES);
      if (value.readUInt32LE(1) !== crc32(packed)) return null;
      const plain = messageType('CachedPart').decode(await decompress(packed, { maxOutputLength: MAX_MESSAGE_BYTES }));
      if (plain.key !== text) return null;
      const answer = read(plain);
      const { startNs, endNs, fingerprint } = plain;
      return answer && { startNs: BigInt(startNs), endNs: BigInt(endNs), fingerprint, answer };
    } catch (err: unknown) {
      if (!this.#hasComplained) this.#logger.warn('a value of the results cache cannot be read', { err });
      this.#hasComplained = true;
      return null;
    }
  }

  async #keep(
    key: PartKey,
    { startNs, endNs }: Bounds,
    { fingerprint }: LogPartAnswer | MetricPartAnswer,
    answer: object,
  ): Promise<boolean> {
    if (fingerprint === null) return false;
    const text = JSON.stringify(key);
    const message = messageType('CachedPart').encode({
      key: text,
      startNs: String(startNs),
      endNs: String(endNs),
      fingerprint,
      ...answer,
    });
    if (message.length > MAX_MESSAGE_BYTES) return false;
    const packed = await compress(message);
    if (packed.length > MAX_VALUE_BYTES) return false;
    const header = Buffer.alloc(HEADER_BYTES);
    header[0] = VERSION;
    header.writeUInt32LE(crc32(packed), 1);
    await this.#cache.set(nameOf(text), Buffer.concat([header, packed]));
    return true;
  }
}

/** Servers bound the length of keys and the characters in them. */
function nameOf(text: string): string {
  return `loptr-part-${createHash('sha256').update(text).digest('base64url')}`;
}

/** What it cost is no part of what is kept. */
function withoutFigures<T extends LogPartAnswer | MetricPartAnswer>(answer: T): T {
  return { ...answer, stats: new QueryStats(), fingerprint: null };
}
