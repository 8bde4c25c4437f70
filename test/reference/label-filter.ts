import { RE2JS } from 're2js';
import type { CompareOp, LabelFilter, Matcher } from '../../logql/syntax/ast.ts';
import { parseBytes, parseGoDuration, parseGoFloat, UnitError } from '../../logql/units/index.ts';
import { holdsAddress } from './ip.ts';
import type { WorkingRow } from './row.ts';

const patterns = new Map<string, RE2JS>();

export function regex(pattern: string): RE2JS {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    compiled = RE2JS.compile(pattern);
    patterns.set(pattern, compiled);
  }
  return compiled;
}

/** `.*` stands for everything, line feeds too. */
export function matches({ op, value: wanted }: Matcher, value: string): boolean {
  switch (op) {
    case '=':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case '=~':
      return wanted === '.*' || regex(wanted).matches(value);
    case '!~':
      return wanted !== '.*' && !regex(wanted).matches(value);
    default:
      return op satisfies never;
  }
}

export function matchesAll(matchers: readonly Matcher[], labels: Iterable<readonly [string, string]>): boolean {
  const byName = new Map(labels);
  return matchers.every((matcher) => matches(matcher, byName.get(matcher.name) ?? ''));
}

/** Whether the row stays. A value that cannot be compared keeps it, with an error. */
export function filterLabels(filter: LabelFilter, row: WorkingRow): boolean {
  switch (filter.kind) {
    case 'and':
      return filterLabels(filter.left, row) && filterLabels(filter.right, row);
    case 'or':
      return filterLabels(filter.left, row) || filterLabels(filter.right, row);
    case 'matcher':
      return matches(filter, row.getVisible(filter.name) ?? '');
    case 'number_filter':
      return comparesAs(parseGoFloat, filter.name, filter.op, filter.value, row);
    case 'duration_filter':
      return comparesAs(parseGoDuration, filter.name, filter.op, filter.valueNs, row);
    case 'bytes_filter':
      return comparesAs(parseBytes, filter.name, filter.op, filter.valueBytes, row);
    case 'ip_filter': {
      if (row.error !== '') return true;
      const value = row.get(filter.name);
      return value !== undefined && holdsAddress(filter.pattern, value) === (filter.op === '=');
    }
    default:
      return filter satisfies never;
  }
}

function comparesAs(
  convert: (text: string) => number,
  name: string,
  op: CompareOp,
  wanted: number,
  row: WorkingRow,
): boolean {
  const text = row.get(name);
  if (text === undefined) return false;
  let value: number;
  try {
    value = convert(text);
  } catch (error: unknown) {
    if (!(error instanceof UnitError)) throw error;
    if (row.error === '') row.fail('LabelFilterErr', error.message);
    return true;
  }
  switch (op) {
    case '=':
    case '==':
      return value === wanted;
    case '!=':
      return value !== wanted;
    case '>':
      return value > wanted;
    case '>=':
      return value >= wanted;
    case '<':
      return value < wanted;
    case '<=':
      return value <= wanted;
    default:
      return op satisfies never;
  }
}

export function filterNames(filter: LabelFilter): string[] {
  return 'left' in filter ? [...filterNames(filter.left), ...filterNames(filter.right)] : [filter.name];
}
