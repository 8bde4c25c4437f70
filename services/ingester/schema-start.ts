import { PushRejectedError } from '../rpc/ingester.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';

const NS_PER_MS = 1_000_000n;
const NEVER = 2n ** 63n - 1n;

/** The oldest rows of a push by stream, found when they are first asked for. A stream may have several parts in it. */
export class OldestRows {
  readonly #streams: Iterable<StreamBatch>;
  #byLabels: Map<string, bigint> | null = null;

  constructor(streams: Iterable<StreamBatch>) {
    this.#streams = streams;
  }

  /** ns since 1970 of the oldest row; the end of time without any. */
  of(labels: string): bigint {
    this.#byLabels ??= this.#find();
    return this.#byLabels.get(labels) ?? NEVER;
  }

  #find(): Map<string, bigint> {
    const found = new Map<string, bigint>();
    for (const { labels, baseNs, rowCount, offsetsNs } of this.#streams) {
      if (rowCount === 0) continue;
      let offset = offsetsNs[0]!;
      for (let row = 1; row < rowCount; row++) if (offsetsNs[row]! < offset) offset = offsetsNs[row]!;
      const ns = baseNs + BigInt(offset);
      const known = found.get(labels);
      if (known === undefined || ns < known) found.set(labels, ns);
    }
    return found;
  }
}

/** Loki compares in whole milliseconds, cut towards 1970. */
export function isBefore(ns: bigint, fromMs: number): boolean {
  return ns / NS_PER_MS < BigInt(fromMs);
}

/** How Loki refuses a stream for which its configuration names no way to store it. The time is in seconds. */
export function noSchema(oldestNs: bigint): PushRejectedError {
  const time = Number(oldestNs / NS_PER_MS) / 1000;
  return new PushRejectedError(
    500,
    `rpc error: code = Unknown desc = failed to create stream: no schema config found for time ${time}`,
  );
}
