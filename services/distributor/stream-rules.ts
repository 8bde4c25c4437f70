import type { Labels } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import { parseMatchers } from '../../logql/syntax/index.ts';
import type { Limits } from '../config/limits.ts';

const HOUR_MS = 3_600_000;

interface Rule<T> {
  readonly matches: (labels: Labels) => boolean;
  readonly priority: number;
  readonly result: T;
}

/** Limits that depend on the labels of a stream: its policy, and how long it is kept. */
export class StreamRules {
  readonly #policies: readonly Rule<string>[];
  readonly #retentions: readonly Rule<number>[];
  readonly #retentionMs: number;

  /** Throws when a selector does not parse; the configuration was checked before it got here. */
  constructor(limits: Limits) {
    const policies = Object.entries(limits.policy_stream_mapping).flatMap(([policy, rules]) =>
      rules.map(({ selector, priority }) => rule(selector, priority, policy)),
    );
    this.#policies = policies.sort((a, b) => (a.result < b.result ? -1 : 1));
    this.#retentions = limits.retention_stream.map(({ selector, priority, period }) =>
      rule(selector, priority, period),
    );
    this.#retentionMs = limits.retention_period;
  }

  /** The policy of highest priority that matches, of equal ones the first by name; `''` for none. */
  policyOf(labels: Labels): string {
    return best(this.#policies, labels) ?? '';
  }

  /** Whole hours for which the stream is kept, as a label of metrics; `''` when it is kept for ever. */
  retentionHoursOf(labels: Labels): string {
    const periodMs = best(this.#retentions, labels) ?? this.#retentionMs;
    return periodMs > 0 ? String(Math.floor(periodMs / HOUR_MS)) : '';
  }
}

function rule<T>(selector: string, priority: number, result: T): Rule<T> {
  return { matches: compileMatchers(parseMatchers(selector)), priority, result };
}

function best<T>(rules: readonly Rule<T>[], labels: Labels): T | null {
  let winner: Rule<T> | null = null;
  for (const candidate of rules) {
    if ((winner === null || candidate.priority > winner.priority) && candidate.matches(labels)) winner = candidate;
  }
  return winner === null ? null : winner.result;
}
