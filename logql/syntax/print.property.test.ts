import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type {
  BinaryExpr,
  BinaryOp,
  Expr,
  Grouping,
  LabelFilter,
  LineFilter,
  LogRange,
  LogSelectorExpr,
  Matcher,
  MetricExpr,
  RangeAggregation,
  RangeOp,
  Stage,
  Unwrap,
  VectorAggregation,
  VectorMatching,
  VectorOp,
} from './ast.ts';
import { formatQuery, parseQuery, printExpr } from './index.ts';
import { KEYWORDS } from './tokens.ts';

function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

const name = fc
  .oneof(
    fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,12}$/),
    fc.constantFrom(
      'rate',
      'sum',
      'by_',
      'ip',
      'vector',
      'bytes',
      'duration',
      'label_replace',
      'a_label_with_a_long_name',
    ),
  )
  .filter((text) => !(text.toLowerCase() in KEYWORDS));
const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.constantFrom('', '`', '"', '\\', '\n\t\u0007', 'é日本😀'),
);
const pattern = fc.constantFrom('a', '.+', 'a|b', 'web-[0-9]+', '(?i)x', '5..', 'a`b.', '^$', '.*foo.*');
const ms = (max: number) => fc.integer({ min: 0, max }).map((n) => n * 1e6);
const names = fc.uniqueArray(name, { maxLength: 3 });

const matcher: fc.Arbitrary<Matcher> = fc.oneof(
  record({
    kind: fc.constant('matcher' as const),
    name,
    op: fc.constantFrom('=' as const, '!=' as const),
    value: text,
  }),
  record({
    kind: fc.constant('matcher' as const),
    name,
    op: fc.constantFrom('=~' as const, '!~' as const),
    value: pattern,
  }),
);
const selective: fc.Arbitrary<Matcher> = name.map((n) => ({ kind: 'matcher', name: n, op: '=', value: 'x' }));

const operand = record({ fn: fc.constantFrom('ip' as const, null), value: text });
const lineFilter: fc.Arbitrary<LineFilter> = fc.oneof(
  record({
    kind: fc.constant('line_filter' as const),
    op: fc.constantFrom('|=' as const, '|~' as const, '|>' as const),
    operands: fc.array(operand, { minLength: 1, maxLength: 3 }),
  }),
  record({
    kind: fc.constant('line_filter' as const),
    op: fc.constantFrom('!=' as const, '!~' as const, '!>' as const),
    operands: operand.map((one) => [one]),
  }),
);

/** LogQL reads `-0` as a duration. */
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value));

const compare = fc.constantFrom('==' as const, '!=' as const, '>' as const, '>=' as const, '<' as const, '<=' as const);
const size = record({ digit: fc.integer({ min: 1, max: 9 }), power: fc.integer({ min: 0, max: 4 }) });
const plainFilter: fc.Arbitrary<LabelFilter> = fc.oneof(
  matcher,
  record({
    kind: fc.constant('number_filter' as const),
    name,
    op: compare,
    value: number,
  }),
  record({
    kind: fc.constant('duration_filter' as const),
    name,
    op: compare,
    valueNs: fc.integer({ min: -1e15, max: 1e15 }),
  }),
  record({
    kind: fc.constant('bytes_filter' as const),
    name,
    op: compare,
    valueBytes: size.map(({ digit, power }) => digit * 1000 ** power),
  }),
  record({
    kind: fc.constant('ip_filter' as const),
    name,
    op: fc.constantFrom('=' as const, '!=' as const),
    pattern: text,
  }),
);
const { filter } = fc.letrec<{ filter: LabelFilter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    plainFilter,
    record({ kind: fc.constantFrom('and' as const, 'or' as const), left: tie('filter'), right: tie('filter') }),
  ),
}));

const extractions = fc.array(record({ label: name, expression: text }), { maxLength: 3 });
const item = fc.oneof(name, matcher);
const stage: fc.Arbitrary<Stage> = fc.oneof(
  lineFilter,
  record({ kind: fc.constant('json' as const), extractions }),
  record({ kind: fc.constant('logfmt' as const), strict: fc.boolean(), keepEmpty: fc.boolean(), extractions }),
  fc.constant<Stage>({ kind: 'regexp', pattern: '(?P<a>\\d+) "(?P<b>.*)"' }),
  fc.constant<Stage>({ kind: 'pattern', pattern: '<ip> - <_> "<method> <path>"' }),
  fc.constant<Stage>({ kind: 'unpack' }),
  fc.constant<Stage>({ kind: 'decolorize' }),
  record({ kind: fc.constant('line_format' as const), template: text }),
  record({
    kind: fc.constant('label_format' as const),
    formats: fc.array(
      fc.oneof(
        record({ kind: fc.constant('rename' as const), to: name, from: name }),
        record({ kind: fc.constant('template' as const), to: name, template: text }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
  }),
  record({
    kind: fc.constantFrom('drop' as const, 'keep' as const),
    items: fc.array(item, { minLength: 1, maxLength: 3 }),
  }),
  record({ kind: fc.constant('label_filter' as const), filter }),
);

/** After `drop a` a `!=` belongs to the list, so no query means a line filter there. */
function isReachable(stages: readonly Stage[]): boolean {
  return stages.every((one, i) => {
    const before = stages[i - 1];
    if (one.kind !== 'line_filter' || (one.op !== '!=' && one.op !== '!~')) return true;
    return (before?.kind !== 'drop' && before?.kind !== 'keep') || typeof before.items.at(-1) !== 'string';
  });
}

const log: fc.Arbitrary<LogSelectorExpr> = record({
  kind: fc.constant('log' as const),
  matchers: fc.tuple(selective, fc.array(matcher, { maxLength: 3 })).map(([first, rest]) => [first, ...rest]),
  stages: fc.array(stage, { maxLength: 5 }).filter(isReachable),
});
const unwrap: fc.Arbitrary<Unwrap> = record({
  label: name,
  conversion: fc.constantFrom('bytes' as const, 'duration' as const, 'duration_seconds' as const, null),
  postFilters: fc.array(filter, { maxLength: 2 }),
});
const range = (withUnwrap: boolean): fc.Arbitrary<LogRange> =>
  record({
    log,
    unwrap: withUnwrap ? unwrap : fc.constant(null),
    rangeNs: ms(1e11),
    offsetNs: fc.oneof(
      fc.constant(0),
      ms(1e9),
      ms(1e9).map((ns) => 0 - ns),
    ),
  });
const grouping: fc.Arbitrary<Grouping> = record({ without: fc.boolean(), labels: names });
const rangeAggregation: fc.Arbitrary<RangeAggregation> = fc.oneof(
  record({
    kind: fc.constant('range_aggregation' as const),
    op: fc.constantFrom<RangeOp[]>('rate', 'count_over_time', 'bytes_rate', 'bytes_over_time', 'absent_over_time'),
    parameter: fc.constant(null),
    range: range(false),
    grouping: fc.constant(null),
  }),
  record({
    kind: fc.constant('range_aggregation' as const),
    op: fc.constantFrom<RangeOp[]>('avg_over_time', 'max_over_time', 'stddev_over_time', 'first_over_time'),
    parameter: fc.constant(null),
    range: range(true),
    grouping: fc.option(grouping),
  }),
  record({
    kind: fc.constant('range_aggregation' as const),
    op: fc.constant<RangeOp>('quantile_over_time'),
    parameter: fc.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
    range: range(true),
    grouping: fc.option(grouping),
  }),
);

const literal: fc.Arbitrary<MetricExpr> = number.map((value) => ({ kind: 'literal', value }));
const vector: fc.Arbitrary<MetricExpr> = fc
  .integer({ min: 0, max: 1e6 })
  .map((n) => ({ kind: 'vector', value: n / 4 }));
const realGrouping = grouping.map((one) => (one.without || one.labels.length > 0 ? one : null));
const matching: fc.Arbitrary<VectorMatching> = record({
  card: fc.constantFrom('one-to-one' as const, 'many-to-one' as const, 'one-to-many' as const),
  on: fc.boolean(),
  labels: names,
  include: names,
}).map((one) => (one.card === 'one-to-one' ? { ...one, include: [] } : one));

const ARITHMETIC: readonly BinaryOp[] = ['==', '!=', '<=', '<', '>=', '>', '+', '-', '*', '/', '%', '^'];
const { metric } = fc.letrec<{ metric: MetricExpr; series: MetricExpr }>((tie) => ({
  metric: fc.oneof({ weight: 4, arbitrary: tie('series') }, { weight: 1, arbitrary: literal }),
  series: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    rangeAggregation,
    vector,
    record<VectorAggregation>({
      kind: fc.constant('vector_aggregation' as const),
      op: fc.constantFrom<VectorOp[]>('sum', 'avg', 'count', 'stddev'),
      parameter: fc.constant(null),
      expr: tie('series'),
      grouping: realGrouping,
    }),
    record<VectorAggregation>({
      kind: fc.constant('vector_aggregation' as const),
      op: fc.constantFrom<VectorOp[]>('topk', 'bottomk'),
      parameter: fc.integer({ min: 1, max: 1e6 }),
      expr: tie('series'),
      grouping: realGrouping,
    }),
    record({
      kind: fc.constant('label_replace' as const),
      expr: tie('series'),
      dst: text,
      replacement: text,
      src: text,
      regex: pattern,
    }),
    record<BinaryExpr>({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom<BinaryOp[]>('and', 'or', 'unless', ...ARITHMETIC),
      bool: fc.boolean(),
      matching,
      left: tie('series'),
      right: tie('series'),
    }),
    fc.tuple(fc.constantFrom(...ARITHMETIC), fc.boolean(), matching, tie('series'), literal, fc.boolean()).map(
      ([op, bool, match, series, number, swap]): BinaryExpr => ({
        kind: 'binary',
        op,
        bool,
        matching: match,
        left: swap ? number : series,
        right: swap ? series : number,
      }),
    ),
  ),
}));
const expr: fc.Arbitrary<Expr> = fc.oneof(log, metric);

test('a printed query reads back as the same tree', () => {
  fc.assert(
    fc.property(expr, (tree) => {
      assert.deepEqual(parseQuery(printExpr(tree)), tree);
    }),
    { numRuns: 500 },
  );
});

test('a formatted query reads back as the same tree', () => {
  fc.assert(
    fc.property(expr, (tree) => {
      assert.deepEqual(parseQuery(formatQuery(tree)), tree);
    }),
    { numRuns: 500 },
  );
});
