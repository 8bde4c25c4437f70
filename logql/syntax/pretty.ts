import { formatGoDuration, formatGoFloat, formatPrometheusDuration, quoteGo, utf8Length } from '../units/index.ts';
import type { BinaryExpr, Expr, Grouping, LogRange, LogSelectorExpr, MetricExpr, Stage } from './ast.ts';
import { BINARY_PRECEDENCE } from './precedence.ts';
import { printExpr, printMatchers, printOperator, printStage, printUnwrap } from './print.ts';

/** Bytes. What prints longer than this is spread over lines. */
const MAX_LINE_LENGTH = 100;

/**
 * A query for people, as Loki's `format_query` lays it out: an expression that fits stays on one line, a longer one
 * puts its parts on lines of their own, one level deeper. Where Loki's layout would lose a part of the query (the
 * parentheses of a long operand, the `or` of a long line filter, an empty grouping) the part is kept.
 */
export function formatQuery(expr: Expr): string {
  return prettyExpr(expr, 0);
}

function indent(level: number): string {
  return '  '.repeat(level);
}

function fits(text: string): boolean {
  return utf8Length(text) <= MAX_LINE_LENGTH;
}

function prettyExpr(expr: Expr, level: number): string {
  if (expr.kind !== 'variants') {
    const line = printExpr(expr);
    if (fits(line)) return indent(level) + line;
  }
  switch (expr.kind) {
    case 'log':
      return prettyLog(expr, level);
    case 'range_aggregation': {
      const parameter = expr.parameter === null ? [] : [`${indent(level + 1)}${formatGoFloat(expr.parameter)}`];
      const call = prettyCall(expr.op, [...parameter, prettyRange(expr.range, level + 1)], level);
      return call + prettyGrouping(expr.grouping);
    }
    case 'vector_aggregation': {
      const parameter = expr.parameter === null ? [] : [`${indent(level + 1)}${expr.parameter}`];
      const name = expr.op + prettyGrouping(expr.grouping);
      return prettyCall(name, [...parameter, prettyExpr(expr.expr, level + 1)], level);
    }
    case 'binary':
      return prettyBinary(expr, level);
    case 'literal':
    case 'vector':
      return indent(level) + printExpr(expr);
    case 'label_replace': {
      const strings = [expr.dst, expr.replacement, expr.src, expr.regex].map(
        (text) => indent(level + 1) + quoteGo(text),
      );
      return prettyCall('label_replace', [prettyExpr(expr.expr, level + 1), ...strings], level);
    }
    case 'variants': {
      const call = prettyCall(
        'variants',
        expr.variants.map((variant) => prettyExpr(variant, level + 1)),
        level,
      );
      return `${call} of (\n${prettyRange(expr.range, level + 1)}${indent(level)}\n)`;
    }
    default:
      return expr satisfies never;
  }
}

function prettyCall(name: string, args: readonly string[], level: number): string {
  return `${indent(level)}${name}(\n${args.join(',\n')}\n${indent(level)})`;
}

function prettyLog(expr: LogSelectorExpr, level: number): string {
  const lines = [indent(level) + printMatchers(expr.matchers)];
  for (let i = 0; i < expr.stages.length; ) {
    const stage = expr.stages[i]!;
    if (stage.kind === 'line_filter') {
      const end = endOfLineFilters(expr.stages, i);
      lines.push(prettyLineFilters(expr.stages.slice(i, end), level + 1));
      i = end;
      continue;
    }
    // Loki does not indent this one.
    lines.push(stage.kind === 'decolorize' ? printStage(stage) : indent(level + 1) + printStage(stage));
    i++;
  }
  return lines.join('\n');
}

function endOfLineFilters(stages: readonly Stage[], start: number): number {
  let end = start;
  while (stages[end]?.kind === 'line_filter') end++;
  return end;
}

/** Neighbouring line filters share the first line as far as they fit on it; the rest has a line each. */
function prettyLineFilters(filters: readonly Stage[], level: number): string {
  const texts = filters.map(printStage);
  let shared = 1;
  let length = utf8Length(texts[0]!);
  while (shared < texts.length && (length += 1 + utf8Length(texts[shared]!)) <= MAX_LINE_LENGTH) shared++;
  const lines = [texts.slice(0, shared).join(' '), ...texts.slice(shared)];
  return lines.map((line) => indent(level) + line).join('\n');
}

function prettyRange(range: LogRange, level: number): string {
  let text = prettyExpr(range.log, level);
  if (range.unwrap !== null) {
    text += `\n${indent(level + 1)}${printUnwrap(range.unwrap, `\n${indent(level + 1)}`)}`;
  }
  text += ` [${formatPrometheusDuration(range.rangeNs)}]`;
  return range.offsetNs === 0 ? text : `${text} offset ${prettyOffset(range.offsetNs)}`;
}

const DAY_NS = 86_400e9;

/** Days have no sign in LogQL, so Loki's `offset -1d` cannot be read back. */
function prettyOffset(ns: number): string {
  return ns <= -DAY_NS ? formatGoDuration(ns) : formatPrometheusDuration(ns);
}

function prettyGrouping(grouping: Grouping | null): string {
  if (grouping === null) return '';
  return ` ${grouping.without ? 'without' : 'by'} (${grouping.labels.join(', ')})`;
}

function prettyBinary(expr: BinaryExpr, level: number): string {
  const left = prettyOperand(expr, expr.left, 'left', level + 1);
  const right = prettyOperand(expr, expr.right, 'right', level + 1);
  return `${left}\n${indent(level)}${printOperator(expr, ', ')}\n${right}`;
}

/** One that fits on a line brings its parentheses with it; one that does not gets them only where it needs them. */
function prettyOperand(parent: BinaryExpr, operand: MetricExpr, side: 'left' | 'right', level: number): string {
  if (operand.kind !== 'binary' || fits(printExpr(operand)) || keepsTogether(parent, operand, side)) {
    return prettyExpr(operand, level);
  }
  return `${indent(level)}(\n${prettyExpr(operand, level + 1)}\n${indent(level)})`;
}

/** Whether the operand, written without parentheses, is still read as one. */
function keepsTogether(parent: BinaryExpr, operand: BinaryExpr, side: 'left' | 'right'): boolean {
  const difference = BINARY_PRECEDENCE[operand.op] - BINARY_PRECEDENCE[parent.op];
  return difference > 0 || (difference === 0 && (side === 'right') === (parent.op === '^'));
}
