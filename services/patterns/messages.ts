import type { PatternRequest, StreamPatterns } from '../rpc/patterns.ts';
import type { LineOutcomes } from './pattern-stream.ts';

/** What the main thread asks of the thread that finds patterns. Times come along: that thread has no clock. */
export type PatternWorkerRequest =
  | { readonly kind: 'push'; readonly nowMs: number; readonly stride: number; readonly batches: readonly SentBatch[] }
  | {
      readonly kind: 'query';
      readonly id: number;
      readonly request: PatternRequest;
      /** Else the answer is that of one stream without labels. */
      readonly byStream: boolean;
    }
  | { readonly kind: 'prune'; readonly nowMs: number };

export interface SentBatch {
  /** As in `push-batch.ts`; moved, not copied. */
  readonly bytes: Uint8Array;
  readonly jsonFields: readonly string[];
}

export type PatternWorkerReply =
  | {
      readonly kind: 'pushed';
      readonly bytes: number;
      /** By tenant. */
      readonly outcomes: ReadonlyMap<string, LineOutcomes>;
      readonly streams: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'found'; readonly id: number; readonly streams: readonly StreamPatterns[] }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string };
