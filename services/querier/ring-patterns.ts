import type { Clock } from '../../storage/host/clock.ts';
import type { ReadSet } from '../ring/index.ts';
import {
  type PatternClient,
  type PatternRequest,
  type PatternSeries,
  PatternSum,
  type StreamPatternClient,
  type StreamPatterns,
} from '../rpc/patterns.ts';
import { HEDGE_MS } from './ingester-set.ts';
import { askQuorum, type QuorumOptions } from './quorum.ts';

export interface RingPatternsOptions {
  /** As in `IngesterSetOptions`. */
  readonly readSet: () => ReadSet;
  readonly client: (id: string) => StreamPatternClient | null;
  readonly isReplicated: boolean;
  readonly clock: Clock;
  readonly hedgeMs?: number;
  readonly random?: () => number;
}

/** The patterns that the ingesters of a cluster have found, each line counted once. */
export class RingPatterns implements PatternClient {
  readonly #o: RingPatternsOptions;
  readonly #quorum: QuorumOptions<StreamPatternClient>;

  constructor(options: RingPatternsOptions) {
    this.#o = options;
    this.#quorum = {
      client: options.client,
      hedgeMs: options.hedgeMs ?? HEDGE_MS,
      sleep: (ms, signal) => options.clock.sleep(ms, signal),
      random: options.random ?? Math.random,
    };
  }

  async patterns(request: PatternRequest, signal?: AbortSignal): Promise<readonly PatternSeries[]> {
    const ask = (client: StreamPatternClient, own?: AbortSignal) => client.streamPatterns(request, own);
    const answers = await askQuorum(this.#o.readSet(), this.#quorum, ask, signal);
    return this.#o.isReplicated ? mergeReplicas(answers) : sumOf(answers.flat());
  }
}

/**
 * Of each stream and step, what that ingester says that counted most lines; of several, the first. So no line counts
 * twice, and replicas that saw the same give the numbers of one process. Approximate where none of those that answered
 * saw all lines of a step: after pushes that one of them missed, and in the step in which a stream moved from one ingester
 * to another. Where streams have one ingester, all lines are different ones, and counts are added up.
 */
export function mergeReplicas(answers: readonly (readonly StreamPatterns[])[]): PatternSeries[] {
  const chosen: StreamPatterns[] = [];
  for (const [, replicas] of Map.groupBy(answers.flat(), ({ stream }) => stream)) {
    if (replicas.length === 1) chosen.push(replicas[0]!);
    else chosen.push(...fullest(replicas));
  }
  return sumOf(chosen);
}

/** The replicas of one stream with the steps of which they counted most lines. */
function fullest(replicas: readonly StreamPatterns[]): StreamPatterns[] {
  const best = new Map<number, { readonly index: number; readonly lines: number }>();
  for (const [index, { series }] of replicas.entries()) {
    const steps = new Map<number, number>();
    for (const { samples } of series) {
      for (const [start, lines] of samples) steps.set(start, (steps.get(start) ?? 0) + lines);
    }
    for (const [start, lines] of steps) {
      if (lines > (best.get(start)?.lines ?? 0)) best.set(start, { index, lines });
    }
  }
  return replicas.map(({ stream, series }, index) => ({
    stream,
    series: series.flatMap((one) => {
      const samples = one.samples.filter(([start]) => best.get(start)?.index === index);
      return samples.length === 0 ? [] : [{ ...one, samples }];
    }),
  }));
}

function sumOf(streams: readonly StreamPatterns[]): PatternSeries[] {
  const sum = new PatternSum();
  for (const { series } of streams) for (const one of series) sum.add(one);
  return sum.series();
}
