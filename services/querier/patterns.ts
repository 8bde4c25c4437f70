import type { Matcher } from '../../logql/syntax/ast.ts';
import { parseMatchers, parseQuery } from '../../logql/syntax/index.ts';
import type { Clock } from '../../storage/host/clock.ts';
import type { LimitsProvider } from '../config/limits.ts';
import type { Tenants } from '../http/types.ts';
import { type PatternClient, type PatternSeries, PatternSum } from '../rpc/patterns.ts';
import { jsonString } from './json.ts';
import { parseOrderedBounds, parseStep } from './params.ts';
import { checkExpression, limitBounds, strictest } from './query-limits.ts';
import { resolveTenants } from './select.ts';

export interface PatternsOptions {
  readonly clients: () => readonly PatternClient[];
  readonly limits: LimitsProvider;
  readonly clock: Clock;
  /** Samples are counted in intervals of this length, so no step is shorter. */
  readonly sampleIntervalMs: number;
}

/** Patterns of fewer lines are noise, and more patterns nobody reads. Both are Loki's, for each tenant. */
const MIN_LINES = 30;
const MAX_PATTERNS = 300;
const NS_PER_MS = 1_000_000n;

/** Answers `/loki/api/v1/patterns`. */
export class Patterns {
  readonly #options: PatternsOptions;

  constructor(options: PatternsOptions) {
    this.#options = options;
  }

  /** Throws the errors of `params.ts`, `query-limits.ts` and LogQL. */
  async query(tenants: Tenants, form: URLSearchParams, signal?: AbortSignal): Promise<readonly PatternSeries[]> {
    const { limits: provider, clock, sampleIntervalMs } = this.#options;
    const nowNs = clock.nowNs();
    const query = form.get('query') ?? '';
    const asked = parseOrderedBounds(form, nowNs);
    const stepNs = parseStep(form, asked.startNs, asked.endNs);
    const limits = strictest(tenants.ids.map((id) => provider.for(id)));
    checkExpression(limits, parseQuery(query));
    const bounds = limitBounds(limits, asked, nowNs);
    const { ids, matchers } = resolveTenants(tenants, parseMatchers(query));
    if (bounds === null) return [];
    const stepMs = Math.max(Number(stepNs / NS_PER_MS), sampleIntervalMs);
    // The first and last step are whole, as in every range query of Loki.
    const startMs = floor(Number(bounds.startNs / NS_PER_MS), stepMs);
    const endMs = floor(Number((bounds.endNs + NS_PER_MS - 1n) / NS_PER_MS) + stepMs - 1, stepMs);
    const found = await Promise.all(
      ids.map((tenant) => this.#ofTenant(tenant, matchers, startMs, endMs, stepMs, signal)),
    );
    return mostFrequent(mergeSeries(found), Number.POSITIVE_INFINITY);
  }

  async #ofTenant(
    tenant: string,
    matchers: readonly Matcher[],
    startMs: number,
    endMs: number,
    stepMs: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly PatternSeries[]> {
    const request = { tenant, matchers, startMs, endMs, stepMs };
    const found = await Promise.all(this.#options.clients().map((client) => client.patterns(request, signal)));
    return mostFrequent(mergeSeries(found), MAX_PATTERNS);
  }
}

/** The series that have enough lines, those with the most lines first. */
export function mostFrequent(series: readonly PatternSeries[], max: number): PatternSeries[] {
  return series
    .map((one) => ({ one, lines: one.samples.reduce((sum, [, lines]) => sum + lines, 0) }))
    .filter(({ lines }) => lines >= MIN_LINES)
    .sort((a, b) => b.lines - a.lines || (a.one.pattern < b.one.pattern ? -1 : 1))
    .slice(0, max)
    .map(({ one }) => one);
}

/** Adds up the same pattern of the same level from several answers. */
export function mergeSeries(lists: readonly (readonly PatternSeries[])[]): readonly PatternSeries[] {
  if (lists.length === 1) return lists[0]!;
  const sum = new PatternSum();
  for (const series of lists.flat()) sum.add(series);
  return sum.series();
}

/** Loki's body: times in whole seconds, `<` and `>` of patterns escaped. */
export function renderPatterns(series: readonly PatternSeries[]): string {
  const data = series.map(({ pattern, level, samples }) => {
    const points = samples.map(([startMs, lines]) => `[${Math.floor(startMs / 1000)},${lines}]`);
    return `{"pattern":${jsonString(pattern, true)},"level":${JSON.stringify(level)},"samples":[${points.join(',')}]}`;
  });
  return `{"status":"success","data":[${data.join(',')}]}\n`;
}

const floor = (ms: number, stepMs: number): number => Math.floor(ms / stepMs) * stepMs;
