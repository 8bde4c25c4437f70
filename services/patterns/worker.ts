/** The thread that finds patterns: it counts what is sent to it and answers queries, in the order of arrival. */
import { parentPort, workerData } from 'node:worker_threads';
import type { StreamPatterns } from '../rpc/patterns.ts';
import type { PatternConfig } from './config.ts';
import type { PatternWorkerReply, PatternWorkerRequest } from './messages.ts';
import { PatternStore } from './pattern-store.ts';
import type { LineOutcomes } from './pattern-stream.ts';

const store = new PatternStore(workerData as PatternConfig);
const port = parentPort!;
const reply = (message: PatternWorkerReply): void => port.postMessage(message);
const find = ({ request, byStream }: PatternWorkerRequest & { readonly kind: 'query' }): readonly StreamPatterns[] =>
  byStream ? store.queryByStream(request) : [{ stream: '', series: store.query(request) }];

port.on('message', (message: PatternWorkerRequest) => {
  switch (message.kind) {
    case 'push': {
      const outcomes = new Map<string, LineOutcomes>();
      let bytes = 0;
      for (const batch of message.batches) {
        bytes += batch.bytes.length;
        store.push(batch.bytes, batch.jsonFields, message.stride, message.nowMs, outcomes);
      }
      reply({ kind: 'pushed', bytes, outcomes, streams: store.streamCount, sizeBytes: store.sizeBytes });
      return;
    }
    case 'query':
      try {
        reply({ kind: 'found', id: message.id, streams: find(message) });
      } catch (error: unknown) {
        reply({ kind: 'failed', id: message.id, message: error instanceof Error ? error.message : String(error) });
      }
      return;
    case 'prune':
      store.prune(message.nowMs);
      return;
    default:
      message satisfies never;
  }
});
