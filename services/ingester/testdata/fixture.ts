import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import type { Labels } from '../../../logql/labels.ts';
import { columnsOfHead, encodeMetadataSet, type HeadRows } from '../../../storage/block/index.ts';
import type { EncodedBlock } from '../../../storage/block/types.ts';
import type { Clock } from '../../../storage/host/clock.ts';
import { silentLogger } from '../../../storage/host/logger.ts';
import { defaultLimits, type Limits } from '../../config/limits.ts';
import type { RecentStream } from '../../rpc/ingester.ts';
import { encodePushBatch, type StreamRows } from '../../rpc/push-batch.ts';
import {
  type BlockEncoder,
  defaultIngesterConfig,
  type IngesterConfig,
  type IngesterOptions,
  type SegmentSeries,
} from '../index.ts';

export type TestRow = readonly [ns: bigint, line: string, metadata?: Readonly<Record<string, string>>];

export interface TestStream {
  readonly labels: string;
  readonly rows: readonly TestRow[];
}

export function streamRows({ labels, rows }: TestStream): StreamRows {
  const baseNs = rows[0]?.[0] ?? 0n;
  const lines = rows.map(([, line]) => Buffer.from(line));
  const sets: string[] = [];
  const metaIndexes = rows.map(([, , metadata]) => {
    if (metadata === undefined) return 0;
    const set = encodeMetadataSet(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))).toString('latin1');
    if (!sets.includes(set)) sets.push(set);
    return 1 + sets.indexOf(set);
  });
  let start = 0;
  let metaEnd = 0;
  return {
    labels,
    baseNs,
    firstRow: 0,
    rowCount: rows.length,
    offsetsNs: Float64Array.from(rows, ([ns]) => Number(ns - baseNs)),
    lineStarts: Uint32Array.from(lines, (line) => {
      start += line.length;
      return start - line.length;
    }),
    lineLengths: Uint32Array.from(lines, (line) => line.length),
    source: Buffer.concat(lines),
    metaIndexes: Uint32Array.from(metaIndexes),
    metaSetCount: sets.length,
    metaEnds: Uint32Array.from(sets, (set) => (metaEnd += set.length)),
    metaBytes: Buffer.from(sets.join(''), 'latin1'),
    ascending: rows.every(([ns], i) => i === 0 || ns > rows[i - 1]![0]),
  };
}

export const batchOf = (tenant: string, ...streams: TestStream[]): Buffer =>
  encodePushBatch(tenant, streams.map(streamRows));

/** Rows as texts `ns line metadata`, in order of arrival. */
export function headRows(held: HeadRows): string[] {
  const head = columnsOfHead(held);
  const rows: string[] = [];
  for (let r = 0; r < head.rowCount; r++) {
    const line = Buffer.from(head.bytes.subarray(r === 0 ? 0 : head.lineEnds[r - 1]!, head.lineEnds[r]!)).toString();
    const set = head.metaIndexes[r]!;
    const start = set < 2 ? 0 : head.metaEnds[set - 2]!;
    const metadata =
      set === 0 ? '' : Buffer.from(head.metaBytes.subarray(start, head.metaEnds[set - 1]!)).toString('latin1');
    rows.push(
      `${head.baseNs + BigInt(head.offsetsNs[r]!)} ${line}${metadata === '' ? '' : ` ${JSON.stringify(metadata)}`}`,
    );
  }
  return rows;
}

/** An encoder that takes heads one by one. */
export const encoderOf = (encode: BlockEncoder['encode']): BlockEncoder => ({
  encode,
  encodeTogether: (heads) => Promise.all(heads.map(encode)),
});

/** Blocks that hold their rows as JSON, duplicates included, so that tests see every row that comes twice. */
export const jsonEncoder = encoderOf(async (head) => {
  await new Promise((resolve) => setImmediate(resolve));
  const rows = headRows(head);
  const times = rows.map((row) => BigInt(row.slice(0, row.indexOf(' '))));
  const bytes = Buffer.from(JSON.stringify(rows));
  return [
    {
      bytes,
      stats: {
        minNs: times.reduce((a, b) => (a < b ? a : b)),
        maxNs: times.reduce((a, b) => (a > b ? a : b)),
        rowCount: rows.length,
        lineBytes: columnsOfHead(head).lineEnds[head.rowCount - 1]!,
        metadataBytes: 0,
        encodedBytes: bytes.length,
      },
      filter: new Uint8Array(0),
    },
  ];
});

export const blockRows = (block: EncodedBlock): string[] => JSON.parse(Buffer.from(block.bytes).toString()) as string[];

export const labelsText = (labels: Labels): string => `{${labels.map(([n, v]) => `${n}="${v}"`).join(', ')}}`;

/** All rows as `labels ns line`, sorted; with doubles, if there are any. */
export function rowsOfRecent(recent: readonly RecentStream[]): string[] {
  return recent
    .flatMap(({ labels, blocks, heads }) =>
      [...blocks.flatMap(blockRows), ...heads.flatMap(headRows)].map((row) => `${labelsText(labels)} ${row}`),
    )
    .sort();
}

/** A store in memory that outlives ingesters, and breaks on request. */
export class MemorySink {
  readonly segments = new Map<string, readonly SegmentSeries[]>();
  readonly published = new Set<string>();
  /** Called before a write; may throw or wait. */
  before: (key: string) => void | Promise<void> = () => {};
  /** Called after a write that stored, before its answer; may throw or never resolve. */
  after: (key: string) => void | Promise<void> = () => {};

  newKey(tenant: string): string {
    return `${tenant}/${randomUUID()}`;
  }

  async write(_tenant: string, key: string, series: readonly SegmentSeries[]): Promise<{ publish(): void }> {
    await this.before(key);
    this.segments.set(key, series);
    await this.after(key);
    return { publish: () => this.published.add(key) };
  }

  async exists(_tenant: string, key: string): Promise<boolean> {
    return this.segments.has(key);
  }

  /** A restarted process sees all that is stored. */
  restart(): void {
    for (const key of this.segments.keys()) this.published.add(key);
  }

  rows(tenant: string): string[] {
    return [...this.segments]
      .filter(([key]) => key.startsWith(`${tenant}/`) && this.published.has(key))
      .flatMap(([, series]) =>
        series.flatMap(({ labels, blocks }) => blocks.flatMap(blockRows).map((row) => `${labelsText(labels)} ${row}`)),
      )
      .sort();
  }
}

/** A clock that stands until it is moved. */
export class FakeClock implements Clock {
  #nowMs = 1_795_000_000_000;
  #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  nowMs = (): number => this.#nowMs;
  nowNs = (): bigint => BigInt(this.#nowMs) * 1_000_000n;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason as Error);
      if (ms <= 0) return resolve();
      this.#sleepers.push({ at: this.#nowMs + ms, wake: resolve });
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });

  async advance(ms: number): Promise<void> {
    this.#nowMs += ms;
    const due = this.#sleepers.filter(({ at }) => at <= this.#nowMs);
    this.#sleepers = this.#sleepers.filter(({ at }) => at > this.#nowMs);
    for (const { wake } of due) wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

export function ingesterOptions(
  directory: string,
  sink: MemorySink,
  clock: Clock,
  overrides: {
    readonly config?: Partial<IngesterConfig>;
    readonly limits?: Partial<Limits>;
    readonly options?: Partial<IngesterOptions>;
  } = {},
): IngesterOptions {
  const limits = { ...defaultLimits, ...overrides.limits };
  return {
    id: 'ingester-1',
    config: { ...defaultIngesterConfig, ...overrides.config },
    limits: { for: () => limits },
    wal: { directory },
    encoder: jsonEncoder,
    sink,
    clock,
    logger: silentLogger,
    registry: new Registry(),
    random: () => 0.5,
    ...overrides.options,
  };
}

export const ALL_TIME = { startNs: -(2n ** 63n), endNs: 2n ** 63n - 1n };

/** Waits for a condition that other work brings about. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
