import { setImmediate } from 'node:timers/promises';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { ParseError, parseMatchers } from '../../logql/syntax/index.ts';
import { type Expiry, periodOf } from '../../storage/compaction/index.ts';
import type { SegmentFooter } from '../../storage/segment/index.ts';
import type { Limits } from '../config/limits.ts';
import type { PlannedSegment } from './plan.ts';

const NS_PER_MS = 1_000_000;
/** After so many streams other work of this thread gets its turn: rules may be patterns. */
const SERIES_A_TURN = 1000;

/** A rule of `retention_stream` is about no streams that one could tell. */
export class RetentionRuleError extends Error {
  readonly code = 'bad_retention_rule';
}

/** What the tenant's limits say as of `nowNs`; null when nothing ever expires. Throws RetentionRuleError. */
export function expiryOf(limits: Limits, nowNs: bigint): Expiry | null {
  const { retention_period, retention_stream } = limits;
  if (retention_period <= 0 && retention_stream.length === 0) return null;
  return {
    nowNs,
    periodNs: periodNs(retention_period),
    streams: retention_stream.map(({ selector, priority, period }) => ({
      matchers: matchersOf(selector),
      priority,
      periodNs: periodNs(period),
    })),
  };
}

function matchersOf(selector: string): readonly Matcher[] {
  try {
    return parseMatchers(selector, { mayMatchAll: true });
  } catch (cause: unknown) {
    if (!(cause instanceof ParseError)) throw cause;
    throw new RetentionRuleError(`limits_config.retention_stream: invalid labels matchers: ${cause.message}`, {
      cause,
    });
  }
}

const periodNs = (ms: number): bigint => BigInt(Math.max(0, Math.round(ms * NS_PER_MS)));

export type Verdict = 'keep' | 'drop' | 'rewrite';

/**
 * Decides what becomes of segments. One is touched only when all rows of some stream in it are too old, which its key
 * tells, so that it is rewritten at most once for each period.
 */
export class RetentionPlan {
  /** By segment, when its next stream will be too old, and for which rules that was found out. */
  readonly #dueNs = new Map<string, { readonly rules: string; readonly dueNs: bigint }>();

  /** `footerOf` is called only when streams decide. Null from it: the segment cannot be read and is kept. */
  async judge(
    segment: PlannedSegment,
    expiry: Expiry,
    footerOf: (key: string) => Promise<SegmentFooter | null>,
  ): Promise<Verdict> {
    const periods = [expiry.periodNs, ...expiry.streams.map((rule) => rule.periodNs)].filter((period) => period > 0n);
    const shortest = periods.reduce((a, b) => (a < b ? a : b));
    if (segment.maxNs >= expiry.nowNs - shortest) return 'keep';
    if (expiry.streams.length === 0) return 'drop';
    const rules = JSON.stringify([expiry.periodNs, expiry.streams], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    const known = this.#dueNs.get(segment.key);
    if (known?.rules === rules && known.dueNs > expiry.nowNs) return 'keep';
    const footer = await footerOf(segment.key);
    if (footer === null) return 'keep';
    const period = periodOf(expiry);
    let expired = 0;
    let dueNs = 2n ** 63n;
    for (let series = 0; series < footer.seriesCount; series++) {
      if (series % SERIES_A_TURN === SERIES_A_TURN - 1) await setImmediate();
      const kept = period(footer.labelsOf(series));
      if (kept === 0n) continue;
      if (segment.maxNs < expiry.nowNs - kept) expired++;
      else if (segment.maxNs + kept + 1n < dueNs) dueNs = segment.maxNs + kept + 1n;
    }
    if (expired === footer.seriesCount) return 'drop';
    if (expired > 0) return 'rewrite';
    this.#dueNs.set(segment.key, { rules, dueNs });
    return 'keep';
  }

  /** Forgets segments that are no more. */
  forgetAllBut(keys: ReadonlySet<string>): void {
    for (const key of this.#dueNs.keys()) if (!keys.has(key)) this.#dueNs.delete(key);
  }
}
