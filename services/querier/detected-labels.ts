import { parseGoFloat } from '../../logql/units/float.ts';

/** A stream label that is worth to be shown, with the number of its values. */
export interface DetectedLabel {
  readonly label: string;
  readonly cardinality: number;
}

/** Values by label name. */
export type LabelValues = ReadonlyMap<string, ReadonlySet<string>>;

/** Labels that are shown whatever their values look like. */
const ALWAYS_SHOWN: ReadonlySet<string> = new Set(['cluster', 'namespace', 'instance', 'pod']);
const UUID_DIGITS = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Labels whose values tell people something, of each tenant by itself: those with nothing but numbers and UUIDs are left
 * out, unless the numbers are only 0 and 1. The values of all tenants then count together.
 */
export function detectLabels(tenants: readonly LabelValues[]): DetectedLabel[] {
  const shown = new Map<string, Set<string>>();
  for (const labels of tenants) {
    for (const [label, values] of labels) {
      if (values.size === 0 || (!ALWAYS_SHOWN.has(label) && areIds(values))) continue;
      const known = shown.get(label);
      if (known === undefined) shown.set(label, new Set(values));
      else for (const value of values) known.add(value);
    }
  }
  return [...shown].map(([label, values]) => ({ label, cardinality: values.size })).sort(byLabel);
}

function byLabel(a: DetectedLabel, b: DetectedLabel): number {
  return a.label < b.label ? -1 : 1;
}

function areIds(values: ReadonlySet<string>): boolean {
  const all = [...values];
  if (all.every((value) => value === '0' || value === '1')) return false;
  return all.every((value) => isNumber(value) || isUuid(value));
}

function isNumber(text: string): boolean {
  try {
    parseGoFloat(text);
    return true;
  } catch {
    return false; // not a number: the question was just that
  }
}

/** The forms that Go's `uuid.Parse` takes: plain, in braces, as URN, and without dashes. */
export function isUuid(text: string): boolean {
  if (text.length === 32) return /^[0-9a-f]{32}$/i.test(text);
  if (text.length === 38 && text.startsWith('{') && text.endsWith('}')) return UUID_DIGITS.test(text.slice(1, -1));
  if (text.length === 45 && text.slice(0, 9).toLowerCase() === 'urn:uuid:') return UUID_DIGITS.test(text.slice(9));
  return UUID_DIGITS.test(text);
}
