import { compileRegex, timedTest } from '../../logql/regex/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { SegmentFooter } from '../segment/index.ts';

/** A selector, compiled once a request. */
export interface CompiledMatcher {
  readonly name: string;
  /** The value of an `=`: looked up, not tested. */
  readonly equals: string | null;
  readonly test: (value: string) => boolean;
  /** A stream without the label matches too, as if its value were empty. */
  readonly matchesEmpty: boolean;
}

/** Throws RegexError. */
export function compileSelector(matchers: readonly Matcher[]): CompiledMatcher[] {
  return matchers.map(({ name, op, value }) => {
    const test = valueTest(op, value);
    return { name, equals: op === '=' && value !== '' ? value : null, test, matchesEmpty: test('') };
  });
}

function valueTest(op: Matcher['op'], value: string): (text: string) => boolean {
  switch (op) {
    case '=':
      return (text) => text === value;
    case '!=':
      return (text) => text !== value;
    case '=~':
    case '!~': {
      // Anchored, and a dot matches a line feed, as Prometheus' matchers have it.
      const matches = timedTest(compileRegex(value, { anchored: true, dotAll: true }));
      return op === '=~' ? matches : (text) => !matches(text);
    }
    default:
      throw new TypeError(`no such matcher: ${op satisfies never}`);
  }
}

/**
 * Numbers of the series that match, ascending. Patterns are tried on the distinct values of their label, never on
 * series; what a value's series are is known from the postings.
 */
export function matchSeries(footer: SegmentFooter, matchers: readonly CompiledMatcher[]): Uint32Array {
  let found: Uint32Array | null = null;
  for (const { name, equals } of matchers) {
    if (equals === null) continue;
    const list: Uint32Array = footer.postings(name, equals);
    found = found === null ? list : intersect(found, list);
    if (found.length === 0) return found;
  }
  for (const { name, equals, test, matchesEmpty } of matchers) {
    if (equals !== null) continue;
    // Either the series with a good value are kept, or, as a missing label is good too, those with a bad one dropped.
    const marked = new Uint8Array(footer.seriesCount);
    footer.forEachValue(name, (value, series) => {
      if (test(value) !== matchesEmpty) for (const number of series) marked[number] = 1;
    });
    const keep = matchesEmpty ? 0 : 1;
    const count: number = found?.length ?? footer.seriesCount;
    let kept = 0;
    const some = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      const number = found === null ? i : found[i]!;
      if (marked[number] === keep) some[kept++] = number;
    }
    found = some.subarray(0, kept);
    if (found.length === 0) return found;
  }
  return found ?? everySeries(footer);
}

function everySeries(footer: SegmentFooter): Uint32Array {
  const every = new Uint32Array(footer.seriesCount);
  for (let number = 0; number < every.length; number++) every[number] = number;
  return every;
}

function intersect(a: Uint32Array, b: Uint32Array): Uint32Array {
  const out = new Uint32Array(Math.min(a.length, b.length));
  let count = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const difference = a[i]! - b[j]!;
    if (difference === 0) out[count++] = a[i]!;
    if (difference <= 0) i++;
    if (difference >= 0) j++;
  }
  return out.subarray(0, count);
}
