import type { Labels } from '../labels.ts';
import {
  formatBytes,
  formatGoDuration,
  formatGoFloat,
  formatPrometheusDuration,
  formatSampleValue,
  quoteGo,
} from '../units/index.ts';
import type {
  BinaryExpr,
  Expr,
  Extraction,
  Grouping,
  LabelFilter,
  LabelFormatItem,
  LineFilter,
  LogRange,
  Matcher,
  RangeAggregation,
  Stage,
  Unwrap,
  VectorAggregation,
} from './ast.ts';
import { formatFixed, PLAIN_NAME } from './build.ts';
import { isRewrittenByLoki } from './regex-rewrite.ts';

/**
 * A query on one line, as Loki prints it in error texts, rules and metrics. The text reads back as the same tree,
 * except where Loki itself rounds: sizes to two digits, `vector()` to six decimals, offsets below a nanosecond.
 */
export function printExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'log':
      return expr.stages.length === 0
        ? printMatchers(expr.matchers)
        : `${printMatchers(expr.matchers)} ${printStages(expr.stages)}`;
    case 'range_aggregation':
      return printRangeAggregation(expr);
    case 'vector_aggregation':
      return printVectorAggregation(expr);
    case 'binary':
      return `(${printExpr(expr.left)} ${printOperator(expr, ',')} ${printExpr(expr.right)})`;
    case 'literal':
      return formatGoFloat(expr.value);
    case 'vector':
      return `vector(${formatFixed(expr.value)})`;
    case 'label_replace': {
      const strings = [expr.dst, expr.replacement, expr.src, expr.regex].map(quoteGo);
      return `label_replace(${[printExpr(expr.expr), ...strings].join(',')})`;
    }
    case 'variants':
      return `variants(${expr.variants.map(printExpr).join(', ')}) of (${printRange(expr.range)})`;
    default:
      return expr satisfies never;
  }
}

export function printMatchers(matchers: readonly Matcher[]): string {
  return `{${matchers.map(printMatcher).join(', ')}}`;
}

/** `{a="b", c="d"}`, as labels stand in answers and error texts. */
export function printLabels(labels: Labels): string {
  let text = '{';
  for (const [name, value] of labels) {
    if (text.length > 1) text += ', ';
    text += `${printLabelName(name)}=${quoteGo(value)}`;
  }
  return `${text}}`;
}

function printLabelName(name: string): string {
  return PLAIN_NAME.test(name) ? name : quoteGo(name);
}

export function printMatcher(matcher: Matcher): string {
  return `${printLabelName(matcher.name)}${matcher.op}${quoteGo(matcher.value)}`;
}

export function printStages(stages: readonly Stage[]): string {
  return stages.map(printStage).join(' ');
}

/** One stage with its leading operator: `|= "a"`, `| json`. */
export function printStage(stage: Stage): string {
  switch (stage.kind) {
    case 'line_filter':
      return printLineFilter(stage);
    case 'json':
      return printWords('| json', printExtractions(stage.extractions));
    case 'logfmt':
      return printWords(
        '| logfmt',
        stage.strict ? '--strict' : '',
        stage.keepEmpty ? '--keep-empty' : '',
        printExtractions(stage.extractions),
      );
    case 'regexp':
    case 'pattern':
      return `| ${stage.kind} ${quoteGo(stage.pattern)}`;
    case 'unpack':
    case 'decolorize':
      return `| ${stage.kind}`;
    case 'line_format':
      return `| line_format ${quoteGo(stage.template)}`;
    case 'label_format':
      return `| label_format ${stage.formats.map(printLabelFormat).join(',')}`;
    case 'drop':
    case 'keep':
      return `| ${stage.kind} ${stage.items.map((item) => (typeof item === 'string' ? item : printMatcher(item))).join(',')}`;
    case 'label_filter':
      return `| ${printLabelFilter(stage.filter)}`;
    default:
      return stage satisfies never;
  }
}

function printWords(...words: readonly string[]): string {
  return words.filter((word) => word !== '').join(' ');
}

function printLineFilter(filter: LineFilter): string {
  const operands = filter.operands.map(({ fn, value }) => (fn === null ? quoteGo(value) : `${fn}(${quoteGo(value)})`));
  return `${filter.op} ${operands.join(' or ')}`;
}

function printExtractions(extractions: readonly Extraction[]): string {
  return extractions.map(({ label, expression }) => `${label}=${quoteGo(expression)}`).join(',');
}

function printLabelFormat(item: LabelFormatItem): string {
  return `${item.to}=${item.kind === 'rename' ? item.from : quoteGo(item.template)}`;
}

export function printLabelFilter(filter: LabelFilter): string {
  switch (filter.kind) {
    case 'matcher':
      return printFilterMatcher(filter);
    case 'number_filter':
      return `${filter.name}${filter.op}${formatSampleValue(filter.value)}`;
    case 'duration_filter':
      return `${filter.name}${filter.op}${formatGoDuration(filter.valueNs)}`;
    case 'bytes_filter':
      return `${filter.name}${filter.op}${formatBytes(filter.valueBytes).replace(' ', '')}`;
    case 'ip_filter':
      return `${filter.name}${filter.op}ip(${quoteGo(filter.pattern)})`;
    case 'and':
      return `( ${printLabelFilter(filter.left)} , ${printLabelFilter(filter.right)} )`;
    case 'or':
      return `( ${printLabelFilter(filter.left)} or ${printLabelFilter(filter.right)} )`;
    default:
      return filter satisfies never;
  }
}

/** A pattern that Loki could not turn into plain comparisons prints raw. */
function printFilterMatcher(matcher: Matcher): string {
  if (matcher.op !== '=~' || matcher.value.includes('`') || isRewrittenByLoki(matcher.value)) {
    return printMatcher(matcher);
  }
  return `${matcher.name}=~\`${matcher.value}\``;
}

export function printUnwrap(unwrap: Unwrap, separator: string): string {
  const subject = unwrap.conversion === null ? unwrap.label : `${unwrap.conversion}(${unwrap.label})`;
  return [`| unwrap ${subject}`, ...unwrap.postFilters.map((filter) => `| ${printLabelFilter(filter)}`)].join(
    separator,
  );
}

export function printRange(range: LogRange): string {
  const unwrap = range.unwrap === null ? '' : ` ${printUnwrap(range.unwrap, ' ')}`;
  const offset = range.offsetNs === 0 ? '' : ` offset ${formatGoDuration(range.offsetNs)}`;
  return `${printExpr(range.log)}${unwrap}[${formatPrometheusDuration(range.rangeNs)}]${offset}`;
}

function printRangeAggregation(expr: RangeAggregation): string {
  const parameter = expr.parameter === null ? '' : `${formatSampleValue(expr.parameter)},`;
  const grouping = expr.grouping === null ? '' : printGrouping(expr.grouping);
  return `${expr.op}(${parameter}${printRange(expr.range)})${grouping}`;
}

function printVectorAggregation(expr: VectorAggregation): string {
  const parameter = expr.parameter === null ? '' : `${expr.parameter},`;
  const grouping = expr.grouping === null ? '' : printGrouping(expr.grouping);
  return `${expr.op}${grouping}(${parameter}${printExpr(expr.expr)})`;
}

function printGrouping(grouping: Grouping): string {
  return ` ${grouping.without ? 'without' : 'by'} (${grouping.labels.join(',')})`;
}

/**
 * An operator with its modifiers. Loki puts a space after the labels whether a `group_` follows or not. Two texts of
 * Loki's would not read back and are completed here: it omits `ignoring()` before a `group_`, and the empty list
 * between a `group_` and an operand in parentheses.
 */
export function printOperator(expr: BinaryExpr, separator: string): string {
  const { on, labels, card, include } = expr.matching;
  const op = expr.bool ? `${expr.op} bool` : expr.op;
  if (!on && labels.length === 0 && card === 'one-to-one') return op;
  let group = '';
  if (card !== 'one-to-one') group = card === 'many-to-one' ? 'group_left' : 'group_right';
  if (include.length > 0 || (group !== '' && expr.right.kind === 'binary')) group += ` (${include.join(separator)})`;
  return `${op} ${on ? 'on' : 'ignoring'} (${labels.join(separator)}) ${group}`;
}
