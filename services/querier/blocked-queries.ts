import { compileRegex, type Regex } from '../../logql/regex/index.ts';
import type { Expr, Stage } from '../../logql/syntax/ast.ts';
import type { BlockedQuery, Limits } from '../config/limits.ts';
import { QueryLimitError } from './query-limits.ts';

/** Key and value of each tag of a query, keys in lower case. */
export type QueryTags = readonly (readonly [key: string, value: string])[];

/** `X-Query-Tags: Source=grafana,Feature=beta`. What is no pair is left out, as Loki leaves it out. */
export function parseQueryTags(header: string): QueryTags {
  return header
    .replace(/[^A-Za-z0-9\-=.@, ]/g, '_')
    .split(',')
    .map((pair) => pair.split('=').filter((part) => part !== ''))
    .filter((parts) => parts.length === 2)
    .map(([key, value]) => [key!.toLowerCase(), value!]);
}

/**
 * Refuses a query that `blocked_queries` names by its text, a pattern, or its hash. The first rule that fits the text
 * decides; it holds only for the kinds and tags that it names. Throws QueryLimitError.
 */
export function checkBlocked(limits: Limits, query: string, expr: Expr, tags: QueryTags): void {
  for (const rule of limits.blocked_queries) {
    if (!fitsText(rule, query)) continue;
    const { types = [], query_tags = {} } = rule;
    const fitsKind = types.length === 0 || types.includes(kindOf(expr));
    const fitsTags = Object.entries(query_tags).every(([key, value]) =>
      tags.some(([name, text]) => name === key.toLowerCase() && text.toLowerCase() === value.toLowerCase()),
    );
    if (fitsKind && fitsTags) throw new QueryLimitError('query blocked by policy');
    return;
  }
}

function fitsText(rule: BlockedQuery, query: string): boolean {
  const { hash = 0, pattern = '', regex = false } = rule;
  if (hash > 0) return hash === fnv32(query);
  if (pattern === '') return true;
  return regex ? regexOf(rule, pattern).test(query) : pattern.trim() === query.trim();
}

/** By rule: limits are asked for each query, and the rules are the same until they are read again. */
const regexes = new WeakMap<BlockedQuery, Regex>();

function regexOf(rule: BlockedQuery, pattern: string): Regex {
  let found = regexes.get(rule);
  if (found === undefined) regexes.set(rule, (found = compileRegex(pattern)));
  return found;
}

/** Loki's kinds of queries: `metric`, `filter` (a log query that leaves lines out), `limited` (any other). */
export function kindOf(expr: Expr): 'metric' | 'filter' | 'limited' {
  if (expr.kind !== 'log') return 'metric';
  return expr.stages.some(leavesOut) ? 'filter' : 'limited';
}

function leavesOut(stage: Stage): boolean {
  if (stage.kind !== 'line_filter') return stage.kind === 'label_filter';
  const isOfAll = (stage.op === '|=' || stage.op === '|~') && stage.operands[0]!.value === '';
  return !isOfAll;
}

/** 32-bit FNV-1, the hash that Loki logs as `query_hash`. */
export function fnv32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash;
}
