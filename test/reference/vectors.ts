import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { BinaryExpr, BinaryOp, Grouping, LabelReplaceExpr, VectorOp } from '../../logql/syntax/ast.ts';
import { regex } from './label-filter.ts';
import { sorted } from './row.ts';

/** A series' value at one time. */
export interface VectorSample {
  readonly labels: Labels;
  readonly value: number;
}

/** Samples cannot be matched one to one, or many to one. */
export class ReferenceMatchingError extends Error {}

type Vector = readonly VectorSample[];

function only(labels: Labels, names: readonly string[]): Labels {
  return labels.filter(([name]) => names.includes(name));
}

function without(labels: Labels, names: readonly string[]): Labels {
  return labels.filter(([name]) => !names.includes(name));
}

export function aggregate(op: VectorOp, parameter: number | null, grouping: Grouping, input: Vector): Vector {
  if (op === 'sort' || op === 'sort_desc') {
    const sign = op === 'sort' ? 1 : -1;
    const number = (value: number) => (Number.isNaN(value) ? Infinity : sign * value);
    return input.toSorted((a, b) => {
      const x = number(a.value);
      const y = number(b.value);
      return x === y ? 0 : x - y;
    });
  }
  const key = grouping.without ? without : only;
  const groups = Map.groupBy(input, ({ labels }) => labelsKey(key(labels, grouping.labels)));
  return [...groups.values()].flatMap((members): Vector => {
    if (op === 'topk' || op === 'bottomk') {
      const sign = op === 'topk' ? -1 : 1;
      // NaN is never among the best while others are there.
      const best = members.toSorted((a, b) => {
        if (Number.isNaN(a.value) || Number.isNaN(b.value))
          return Number(Number.isNaN(a.value)) - Number(Number.isNaN(b.value));
        return a.value === b.value ? 0 : sign * (a.value - b.value);
      });
      return best.slice(0, parameter!);
    }
    const labels = key(members[0]!.labels, grouping.labels);
    return [
      {
        labels,
        value: reduce(
          op,
          members.map(({ value }) => value),
        ),
      },
    ];
  });
}

function reduce(op: VectorOp, values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  const mean = sum / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  switch (op) {
    case 'sum':
      return sum;
    case 'count':
      return values.length;
    case 'avg':
      return mean;
    case 'stdvar':
      return variance;
    case 'stddev':
      return Math.sqrt(variance);
    case 'max':
      return values.reduce((best, value) => (Number.isNaN(best) || value > best ? value : best));
    case 'min':
      return values.reduce((best, value) => (Number.isNaN(best) || value < best ? value : best));
    default:
      throw new TypeError(`the reference does not know ${op}`);
  }
}

export function replaceLabel(expr: LabelReplaceExpr, input: Vector): Vector {
  return input.map(({ labels, value }) => {
    const all = new Map(labels);
    const matcher = regex(`^(?:${expr.regex})$`).matcher(all.get(expr.src) ?? '');
    if (!matcher.find()) return { labels, value };
    const group = (name: string): string => {
      const index = /^\d+$/.test(name) ? Number(name) : undefined;
      if (index !== undefined) return index <= matcher.groupCount() ? (matcher.group(index) ?? '') : '';
      return name in (matcher.pattern().namedGroups() as object) ? (matcher.group(name) ?? '') : '';
    };
    const text = expr.replacement.replaceAll(
      /\$(?:(\w+)|\{(\w+)\}|(\$))/g,
      (_, a?: string, b?: string, dollar?: string) => (dollar !== undefined ? '$' : group((a ?? b)!)),
    );
    if (text === '') all.delete(expr.dst);
    else all.set(expr.dst, text);
    return { labels: sorted(all), value };
  });
}

export function binary(expr: BinaryExpr, left: Vector | number, right: Vector | number): Vector | number {
  const { op, bool } = expr;
  const isComparison = ['==', '!=', '<', '<=', '>', '>='].includes(op);
  if (typeof left === 'number' && typeof right === 'number') return calculate(op, left, right);
  if (typeof left === 'number' || typeof right === 'number') {
    const vector = (typeof left === 'number' ? right : left) as Vector;
    return vector.flatMap((sample) => {
      const result = calculate(
        op,
        typeof left === 'number' ? left : sample.value,
        typeof right === 'number' ? right : sample.value,
      );
      if (!isComparison || bool) return [{ labels: sample.labels, value: result }];
      return result === 1 ? [sample] : [];
    });
  }
  if (op === 'and' || op === 'or' || op === 'unless') return combine(expr, op, left, right);
  return match(expr, left, right, isComparison);
}

function signature({ matching }: BinaryExpr, labels: Labels): string {
  return labelsKey((matching.on ? only : without)(labels, matching.labels));
}

function combine(expr: BinaryExpr, op: 'and' | 'or' | 'unless', left: Vector, right: Vector): Vector {
  const lefts = new Set(left.map(({ labels }) => signature(expr, labels)));
  const rights = new Set(right.map(({ labels }) => signature(expr, labels)));
  if (op === 'or') return [...left, ...right.filter(({ labels }) => !lefts.has(signature(expr, labels)))];
  return left.filter(({ labels }) => rights.has(signature(expr, labels)) === (op === 'and'));
}

function match(expr: BinaryExpr, left: Vector, right: Vector, isComparison: boolean): Vector {
  const { matching, op, bool } = expr;
  const swapped = matching.card === 'one-to-many';
  const [many, one] = swapped ? [right, left] : [left, right];
  const partners = new Map<string, VectorSample>();
  for (const sample of one) {
    const key = signature(expr, sample.labels);
    if (partners.has(key)) throw new ReferenceMatchingError('many on the side of one');
    partners.set(key, sample);
  }
  const claimed = new Set<string>();
  return many.flatMap((sample) => {
    const partner = partners.get(signature(expr, sample.labels));
    if (partner === undefined) return [];
    const labels = new Map(sample.labels);
    if (matching.card === 'one-to-one') {
      for (const [name] of sample.labels) if (matching.labels.includes(name) !== matching.on) labels.delete(name);
    }
    for (const name of matching.include) {
      const value = new Map(partner.labels).get(name) ?? '';
      if (value === '') labels.delete(name);
      else labels.set(name, value);
    }
    const result = sorted(labels);
    const claim = matching.card === 'one-to-one' ? signature(expr, sample.labels) : labelsKey(result);
    if (claimed.has(claim)) throw new ReferenceMatchingError('two for one partner');
    claimed.add(claim);
    const [l, r] = swapped ? [partner.value, sample.value] : [sample.value, partner.value];
    const value = calculate(op, l, r);
    if (isComparison && !bool) return value === 1 ? [{ labels: result, value: l }] : [];
    return [{ labels: result, value }];
  });
}

function calculate(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return b === 0 ? Number.NaN : a / b;
    case '%':
      return b === 0 ? Number.NaN : a % b;
    case '^':
      return a ** b;
    case '==':
      return Number(a === b);
    case '!=':
      return Number(a !== b);
    case '<':
      return Number(a < b);
    case '<=':
      return Number(a <= b);
    case '>':
      return Number(a > b);
    case '>=':
      return Number(a >= b);
    default:
      throw new TypeError(`no operation of numbers: ${op}`);
  }
}
