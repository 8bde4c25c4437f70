import { evaluateInMemory } from '../../logql/aggregate/evaluate-in-memory.ts';
import { evaluatePartials, LogMerger, type LogResult, type MetricResult } from '../../logql/aggregate/index.ts';
import { streamRank } from '../../logql/label-hash.ts';
import { compareLabels, type Labels, labelsKey } from '../../logql/labels.ts';
import { conditionOf, type PlanParams, planQuery, type RangeScan } from '../../logql/plan/index.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import { blockOf } from '../../logql/stages/testing/block-of.ts';
import type { Expr } from '../../logql/syntax/ast.ts';
import { encodeBlocks, openBlock } from '../../storage/block/index.ts';
import { headOf } from '../../storage/block/testing/heads.ts';
import { compileFilterTest } from '../../storage/filter/index.ts';
import type { ObjectStore } from '../../storage/objectstore/index.ts';
import { BlockSource } from '../../storage/scan/block-source.ts';
import { LogScan } from '../../storage/scan/log-scan.ts';
import { MetricScan } from '../../storage/scan/metric-scan.ts';
import { newScanStats } from '../../storage/scan/scan-stats.ts';
import {
  type BlockRef,
  groupOverlapping,
  headRef,
  memoryRef,
  type ScanUnit,
  storedRef,
} from '../../storage/scan/units.ts';
import { withoutRepetitions } from '../reference/log-query.ts';
import type { ReferenceRow } from '../reference/row.ts';

export type Answer = MetricResult | { readonly kind: 'streams'; readonly result: LogResult };

/** An engine under test: rows in order of arrival, and numbers that decide how they are cut and shared out. */
export interface Engine {
  readonly name: string;
  /** The order of streams among entries of one time. */
  rank(stream: Labels, rows: readonly ReferenceRow[]): number;
  answer(expr: Expr, params: PlanParams, rows: readonly ReferenceRow[], cuts: readonly number[]): Promise<Answer>;
}

function byStream(rows: readonly ReferenceRow[]): ReferenceRow[][] {
  return [...Map.groupBy(rows, ({ stream }) => labelsKey(stream)).values()];
}

/** `items` cut into runs of the lengths in `cuts`, which are used round and round. */
function cutInto<T>(items: readonly T[], cuts: readonly number[]): T[][] {
  const pieces: T[][] = [];
  for (let at = 0, i = 0; at < items.length; i++) {
    const length = 1 + (cuts[i % cuts.length] ?? 0);
    pieces.push(items.slice(at, at + length));
    at += length;
  }
  return pieces;
}

/** Blocks in memory, one stream's one after the other in time. */
export const inMemory: Engine = {
  name: 'evaluateInMemory',
  rank(stream, rows) {
    const streams = rows.map((row) => row.stream).sort(compareLabels);
    return streams.findIndex((other) => compareLabels(other, stream) === 0);
  },
  async answer(expr, params, rows, cuts) {
    const blocks = byStream(withoutRepetitions(rows)).flatMap((members) => {
      const sorted = members.toSorted((a, b) => Number(a.timestampNs - b.timestampNs));
      return cutInto(sorted, cuts).map((piece) => ({
        stream: piece[0]!.stream,
        columns: blockOf(
          piece.map(({ line }) => line),
          {
            timestampsNs: piece.map(({ timestampNs }) => timestampNs),
            metadata: piece.map(({ metadata }) => Object.fromEntries(metadata)),
          },
        ),
      }));
    });
    return evaluateInMemory(expr, params, blocks, 1 + ((cuts[0] ?? 0) % 3));
  },
};

/**
 * Through storage: rows arrive in pieces that become heads, blocks in memory and blocks of an object, whose times may
 * overlap; chains of them are cut short, so that rows are alike in several units; units go to several scans as they go to worker threads, whose partials are merged.
 */
export const throughBlocks: Engine = {
  name: 'heads and encoded blocks',
  rank: (stream) => streamRank(stream),
  async answer(expr, params, rows, cuts) {
    const stored = new Map<string, Uint8Array>();
    const store: Pick<ObjectStore, 'getSync'> = { getSync: (key) => stored.get(key)! };
    const source = new BlockSource(store as ObjectStore);
    const filters = new Map<BlockRef, Uint8Array>();
    const streams = byStream(rows).map((members) => {
      const blocks = cutInto(members, cuts).flatMap((piece, i): BlockRef[] => {
        const head = headOf(piece.map(({ timestampNs, line, metadata }) => ({ ns: timestampNs, line, metadata })));
        const kind = (i + (cuts[0] ?? 0)) % 3;
        if (kind === 0) return [headRef(head)!];
        return encodeBlocks(head, { maxRows: 1 + (cuts.at(-1) ?? 3), maxLineBytes: 2 ** 20, maxSpanNs: 2 ** 52 }).map(
          (block) => {
            const keep = (ref: BlockRef): BlockRef => {
              filters.set(ref, block.filter);
              return ref;
            };
            if (kind === 1) return keep(memoryRef(block));
            const segmentKey = `segment-${stored.size}`;
            stored.set(segmentKey, block.bytes);
            const { linesOffset, stats } = openBlock(block.bytes);
            return keep(storedRef({ segmentKey, offset: 0, length: block.bytes.length, linesOffset, stats }));
          },
        );
      });
      return { labels: members[0]!.stream, blocks };
    });
    /** Without blocks whose filters say that no row can matter. */
    const unitsOf = ({ matchers, stages }: Pick<RangeScan, 'matchers' | 'stages'>): ScanUnit[] => {
      const matches = compileMatchers(matchers);
      const test = compileFilterTest(conditionOf(stages));
      return streams
        .filter(({ labels }) => matches(labels))
        .flatMap(({ labels, blocks }) => {
          const kept = blocks.filter((ref) => {
            const filter = filters.get(ref);
            return filter === undefined || test === null || test(labels, filter);
          });
          const least = 1 + 100 * (cuts.at(-1) ?? 0);
          return groupOverlapping(labels, kept, null, [], { least, most: 2 * least });
        });
    };
    const workers = 1 + ((cuts[0] ?? 0) % 3);
    const share = (units: readonly ScanUnit[], worker: number) => units.filter((_, i) => i % workers === worker);
    const cancel = new Int32Array(new SharedArrayBuffer(4));
    const stats = newScanStats();
    const plan = planQuery(expr, params);
    if (plan.kind === 'log') {
      const merger = new LogMerger(plan);
      const backward = plan.direction === 'backward';
      const units = unitsOf(plan).sort((a, b) => Number(backward ? b.maxNs - a.maxNs : a.minNs - b.minNs));
      for (let worker = 0; worker < workers; worker++) {
        const scan = new LogScan(plan, null);
        merger.add(await scan.run(share(units, worker), merger.beyondNs, source, cancel, stats));
      }
      return { kind: 'streams', result: merger.finish() };
    }
    const partialsOfScans = [];
    for (const scan of plan.scans) {
      const partials = [];
      for (let worker = 0; worker < workers; worker++) {
        const metric = new MetricScan(scan, null);
        for (const unit of share(unitsOf(scan), worker)) {
          if (unit.maxNs <= scan.readAfterNs || unit.minNs > scan.readUntilNs) continue;
          await metric.add(unit, source, cancel, stats);
        }
        partials.push(metric.partial());
      }
      partialsOfScans.push(partials);
    }
    return evaluatePartials(plan, partialsOfScans, 0);
  },
};
