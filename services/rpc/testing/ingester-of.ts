import { columnsOfHead } from '../../../storage/block/index.ts';
import type { IngesterClient, RecentRequest, RecentStream } from '../ingester.ts';

type Recent = (request: RecentRequest, signal?: AbortSignal) => Promise<readonly RecentStream[]>;

/** An ingester that nobody writes to: all it answers follows from `recent`. */
export function ingesterOf(recent: Recent, id = 'i'): IngesterClient {
  const labelsOf = async (request: RecentRequest, signal?: AbortSignal) =>
    (await recent(request, signal)).map(({ labels }) => labels);
  const sorted = (texts: Iterable<string>) => [...new Set(texts)].sort();
  return {
    id,
    push: () => Promise.reject(new Error('nobody pushes here')),
    recent,
    series: labelsOf,
    labelNames: async (request, signal) =>
      sorted((await labelsOf(request, signal)).flatMap((labels) => labels.map(([name]) => name))),
    labelValues: async (wanted, request, signal) =>
      sorted(
        (await labelsOf(request, signal)).flatMap((labels) =>
          labels.filter(([name]) => name === wanted).map(([, value]) => value),
        ),
      ),
    stats: async (request, signal) => {
      const streams = await recent(request, signal);
      const sum = { streams: streams.length, chunks: 0, rows: 0, bytes: 0 };
      for (const { blocks, heads } of streams) {
        sum.chunks += blocks.length + heads.length;
        for (const { stats } of blocks) {
          sum.rows += stats.rowCount;
          sum.bytes += stats.lineBytes + stats.metadataBytes;
        }
        for (const { rowCount, lineEnds, metadataBytes } of heads.map((head) => columnsOfHead(head))) {
          sum.rows += rowCount;
          sum.bytes += (rowCount === 0 ? 0 : lineEnds[rowCount - 1]!) + metadataBytes;
        }
      }
      return sum;
    },
    tail: () => () => {},
    flush: () => Promise.resolve(),
  };
}
