import type { WalRecord } from '../../storage/wal/index.ts';

/**
 * What the log knows of segments in the object store, so that a restart does not bring stored rows back:
 *
 *     PUSH    a push batch (`services/rpc/push-batch.ts`)
 *     INTENT  JSON {"tenant", "key", "streams": [[labels, sequence], …]}: before the segment `key` is written. Once it
 *             exists, every row of these streams up to that sequence is stored.
 *     DONE    JSON {"intent": sequence}: it exists.
 *
 * An intent without DONE is decided by asking the object store. Both kinds leave with the log's segments: an intent only
 * speaks of rows in its own segment or an older one, so it is there as long as they are.
 */
export const RECORD_PUSH = 1;
export const RECORD_INTENT = 2;
export const RECORD_DONE = 3;

export interface FlushIntent {
  readonly tenant: string;
  readonly key: string;
  readonly streams: readonly (readonly [labels: string, sequence: number])[];
}

export const encodeIntent = (intent: FlushIntent): Buffer => Buffer.from(JSON.stringify(intent));
export const encodeDone = (intentSequence: number): Buffer => Buffer.from(JSON.stringify({ intent: intentSequence }));

/** Per tenant and stream the sequence up to which rows are stored. */
export class StoredMarks {
  readonly #open = new Map<number, FlushIntent>();
  readonly #marks = new Map<string, Map<string, number>>();

  collect(record: WalRecord): void {
    if (record.type === RECORD_INTENT) {
      this.#open.set(record.sequence, JSON.parse(record.payload.toString()) as FlushIntent);
    } else if (record.type === RECORD_DONE) {
      const { intent: sequence } = JSON.parse(record.payload.toString()) as { intent: number };
      const intent = this.#open.get(sequence);
      if (intent === undefined) return; // its segment of the log is gone, and with it all rows it spoke of
      this.#open.delete(sequence);
      this.#apply(intent);
    }
  }

  /** Decides the intents that a crash left open. */
  async resolveOpen(exists: (tenant: string, key: string) => Promise<boolean>): Promise<void> {
    for (const intent of this.#open.values()) {
      if (await exists(intent.tenant, intent.key)) this.#apply(intent);
    }
    this.#open.clear();
  }

  storedUpTo(tenant: string, labels: string): number {
    return this.#marks.get(tenant)?.get(labels) ?? 0;
  }

  #apply({ tenant, streams }: FlushIntent): void {
    let marks = this.#marks.get(tenant);
    if (marks === undefined) this.#marks.set(tenant, (marks = new Map()));
    for (const [labels, sequence] of streams) {
      if (sequence > (marks.get(labels) ?? 0)) marks.set(labels, sequence);
    }
  }
}
