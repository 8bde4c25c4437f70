import fc from 'fast-check';
import { ParseError, parseQuery } from '../../logql/syntax/index.ts';

/*
 * Queries as text, from the grammar. Left out is what the reference does not know: patterns that Loki replaces by
 * looser comparisons (`.*` beside other text), and averages that its frontend turns into quotients.
 */

const name = fc.constantFrom(
  'level',
  'ms',
  'size',
  'msg',
  'ip',
  'app',
  'env',
  'trace',
  'a',
  'a_b',
  'b',
  'level_extracted',
);
const quoted = (text: string): string => JSON.stringify(text);
const word = fc.constantFrom('error', 'info', 'a', 'x', '', 'é€😀', 'ms', '{', 'e', ' ', '10.0.0');
const pattern = fc.constantFrom(
  'e(rr)?o',
  '[a-z]+=',
  '^l',
  '[0-9]{2}',
  '(?i)ERROR',
  'a|b',
  '',
  'x$',
  '\\d+ms',
  '.+',
  '.*',
  'é',
);
const whole = fc.constantFrom('error', 'info|warn', '(?i)ERROR', '[0-9]+', '.+', '.*', '', 'a|b', '[^x]', '(a|x)?');
const address = fc.constantFrom('10.0.0.7', '10.0.0.0/8', '192.168.1.0-192.168.1.99', '::1', 'fe80::/10');
const comparison = fc.constantFrom('==', '=', '!=', '>', '>=', '<', '<=');

const lineFilter = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('|=', '!='), fc.array(word, { minLength: 1, maxLength: 2 }))
      .map(([op, words]) => `${op} ${words.map(quoted).join(' or ')}`),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('|~', '!~'), pattern).map(([op, text]) => `${op} ${quoted(text)}`),
  },
  fc
    .tuple(fc.constantFrom('|>', '!>'), fc.constantFrom('<_>', '<_>ms<_>', 'level=<_>', '<_>"}', '', 'a<_>=<_>r', 'é'))
    .map(([op, text]) => `${op} ${quoted(text)}`),
  fc.tuple(fc.constantFrom('|=', '!='), address).map(([op, text]) => `${op} ip(${quoted(text)})`),
);

const simpleFilter = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(name, fc.constantFrom('=', '!='), word).map(([n, op, v]) => `${n}${op}${quoted(v)}`),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(name, fc.constantFrom('=~', '!~'), whole).map(([n, op, v]) => `${n}${op}${quoted(v)}`),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(name, comparison, fc.constantFrom('1', '3.5', '-2', '1e3', '0')).map((parts) => parts.join('')),
  },
  fc.tuple(name, comparison, fc.constantFrom('1s', '250ms', '1m')).map((parts) => parts.join('')),
  fc.tuple(name, comparison, fc.constantFrom('10KB', '1MB', '5B')).map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom('ip', 'msg'), fc.constantFrom('=', '!='), address)
    .map(([n, op, v]) => `${n}${op}ip(${quoted(v)})`),
  fc.constantFrom('__error__=""', '__error__!=""', '__error__="JSONParserErr"', '__error__=~"JSON.+|LabelFilterErr"'),
);

export const labelFilter: fc.Arbitrary<string> = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    simpleFilter,
    fc
      .tuple(tie('filter'), fc.constantFrom(' and ', ' or ', ', '), tie('filter'))
      .map(([left, op, right]) => `${left}${op}${right}`),
    tie('filter').map((inner) => `(${inner})`),
  ),
})).filter;

const template = fc.constantFrom(
  '{{.level}}',
  '{{.msg}}-{{.ms}}',
  'text',
  '{{__line__}}',
  '{{ToUpper .level}} {{.app}}',
  '{{if .level}}level={{.level}}{{else}}none=1{{end}}',
  '{{div 1 (int .ms)}}',
  '{{.__error__}}',
  '{{__timestamp__.Unix}}',
  '{{range $k, $v := .}}{{$k}}={{$v}};{{end}}',
  'ms={{.ms}} level={{.level}} x="{{.msg}}"',
  '{{substr 0 3 .msg}}',
);

const choices = fc
  .array(
    fc.oneof(
      name,
      fc.tuple(name, fc.constantFrom('=', '!='), word).map(([n, op, v]) => `${n}${op}${quoted(v)}`),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((items) => items.join(', '));

const jsonPath = fc.constantFrom(
  'a',
  'a.b',
  'level',
  '[\\"h-i\\"]',
  'a[0]',
  '[0]',
  '[2].a',
  'b.a.b',
  'trace',
  'a[2].a',
);

const parser = fc.oneof(
  { weight: 4, arbitrary: fc.constant('| json') },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      '| logfmt',
      '| logfmt --strict',
      '| logfmt --keep-empty',
      '| logfmt --strict --keep-empty',
    ),
  },
  fc
    .uniqueArray(fc.tuple(fc.constantFrom('a', 'p', 'level', 'app', 'q', 'trace'), jsonPath), {
      minLength: 1,
      maxLength: 3,
      selector: ([label]) => label,
    })
    .map((items) => `| json ${items.map(([label, path]) => `${label}="${path}"`).join(', ')}`),
  fc
    .tuple(
      fc.constantFrom('', '--strict '),
      fc.uniqueArray(
        fc.tuple(fc.constantFrom('a', 'p', 'level', 'app', 'q', 'trace'), fc.constantFrom('ms', 'level', 'msg', 'a')),
        {
          minLength: 1,
          maxLength: 3,
          selector: ([label]) => label,
        },
      ),
    )
    .map(([flag, items]) => `| logfmt ${flag}${items.map(([label, key]) => `${label}=${quoted(key)}`).join(', ')}`),
  fc
    .constantFrom('level=<level> <_>', '<verb> <path> <status> <ms>', '<_>:<b>', '<msg>', 'GET <a>')
    .map((text) => `| pattern ${quoted(text)}`),
  fc
    .constantFrom(
      '(?P<ms>[0-9.]+)m?s',
      'level="?(?P<level>\\w+)',
      '^(?P<a>.)(?P<b>\\d)?',
      '(?P<app>[a-z]+)=(?P<env>.?)',
    )
    .map((text) => `| regexp ${quoted(text)}`),
  fc.constant('| unpack'),
);

export const stage = fc.oneof(
  { weight: 5, arbitrary: parser },
  { weight: 4, arbitrary: lineFilter },
  { weight: 5, arbitrary: labelFilter.map((text) => `| ${text}`) },
  { weight: 1, arbitrary: fc.constant('| decolorize') },
  { weight: 2, arbitrary: template.map((text) => `| line_format ${quoted(text)}`) },
  {
    weight: 2,
    arbitrary: fc
      .uniqueArray(
        fc.tuple(name, fc.oneof(name, template.map(quoted))).map(([to, from]) => ({ to, text: `${to}=${from}` })),
        { minLength: 1, maxLength: 3, selector: ({ to }) => to },
      )
      .map((items) => `| label_format ${items.map(({ text }) => text).join(', ')}`),
  },
);
const droppingStage = fc.oneof(
  choices.map((items) => `| drop ${items}`),
  choices.map((items) => `| keep ${items}`),
  fc.constantFrom('| drop __error__', '| drop __error__, __error_details__'),
);

const selector = fc.constantFrom(
  '{app=~".+"}',
  '{app="a"}',
  '{app=~"a|b",env!="x"}',
  '{env=~"x|ü"}',
  '{app="b",level=~".*"}',
  '{app="zz"}',
);

const pipeline = fc.array(fc.oneof({ weight: 8, arbitrary: stage }, { weight: 1, arbitrary: droppingStage }), {
  maxLength: 4,
});

/** After the name at the end of `drop a`, a filter `!= …` is read as a matcher, and then it may be none. */
function isReadable(query: string): boolean {
  if (!/ (drop|keep) /.test(query)) return true;
  try {
    parseQuery(query);
    return true;
  } catch (error: unknown) {
    if (error instanceof ParseError) return false;
    throw error;
  }
}

export const logQuery: fc.Arbitrary<string> = fc
  .tuple(selector, pipeline)
  .map(([streams, stages]) => [streams, ...stages].join(' '))
  .filter(isReadable);

const labels = fc.uniqueArray(
  fc.constantFrom('app', 'env', 'level', 'ms', 'a', 'trace', '__error__', 'level_extracted'),
  { maxLength: 3 },
);
const grouping = fc
  .tuple(fc.constantFrom('by', 'without'), labels)
  .map(([kind, names]) => ` ${kind} (${names.join(', ')})`);
const duration = fc.constantFrom('1s', '2s', '3500ms', '5s', '10s', '1m');
const offset = fc.constantFrom('', '', '', ' offset 1s', ' offset 3s', ' offset -2s');
const unwrap = fc
  .tuple(
    fc.constantFrom('ms', 'size', 'a', 'duration(ms)', 'bytes(size)', 'duration_seconds(ms)'),
    fc.constantFrom('', '', ' | __error__=""', ' | ms > 1', ' | __error__="" | level="error"'),
  )
  .map(([label, filters]) => ` | unwrap ${label}${filters}`);

/** Errors end a metric query; most queries take them out. */
const metricPipeline = fc
  .tuple(
    fc.array(stage, { maxLength: 3 }),
    fc.constantFrom(' | __error__=""', ' | __error__=""', ' | drop __error__, __error_details__', ''),
  )
  .map(([stages, end]) => `${stages.join(' ')}${end}`);

const counted = fc
  .tuple(
    fc.constantFrom('count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'absent_over_time'),
    selector,
    metricPipeline,
    duration,
    offset,
  )
  .map(([op, streams, stages, range, shift]) => `${op}(${streams} ${stages} [${range}]${shift})`);

const unwrapped = fc
  .tuple(
    fc.constantFrom(
      ['rate', false],
      ['rate_counter', false],
      ['sum_over_time', false],
      ['avg_over_time', false],
      ['min_over_time', true],
      ['max_over_time', true],
      ['first_over_time', true],
      ['last_over_time', true],
      ['stddev_over_time', true],
      ['stdvar_over_time', true],
      ['quantile_over_time', true],
      ['absent_over_time', false],
    ) as fc.Arbitrary<readonly [string, boolean]>,
    selector,
    metricPipeline,
    unwrap,
    duration,
    offset,
    fc.option(grouping, { nil: '' }),
    fc.constantFrom('0', '0.5', '0.9', '1'),
  )
  .filter(([[op], , stages]) => op !== 'avg_over_time' || !/\| (drop|keep) /.test(stages))
  .map(([[op, groups], streams, stages, value, range, shift, by, q]) => {
    const parameter = op === 'quantile_over_time' ? `${q}, ` : '';
    return `${op}(${parameter}${streams} ${stages}${value} [${range}]${shift})${groups ? by : ''}`;
  });

const matching = fc.constantFrom('', '', ' on (app)', ' ignoring (env)', ' on ()');
const rangeExpr = fc.oneof(counted, unwrapped);

/** A vector of whole numbers: the same to the last digit in whatever order it is added up, so that it can be compared. */
const exact = fc
  .tuple(
    fc.constantFrom('sum', 'min', 'max', 'count'),
    fc.option(grouping, { nil: '' }),
    counted.map((text) => text.replace(/^(bytes_)?rate\(/, 'bytes_over_time(')),
  )
  .map(([op, by, inner]) => `${op}${by} (${inner})`);

const vector = fc.letrec<{ vector: string; aggregation: string }>((tie) => ({
  vector: fc.oneof(
    { depthSize: 'small', withCrossShrink: true, maxDepth: 3 },
    rangeExpr,
    exact,
    tie('aggregation'),
    withScalar(tie('vector'), ['+', '-', '*', '/'], ['2', '0', '-1']),
    withScalar(tie('vector'), ['>', '<=', '>= bool'], ['0.7777', '2.2222']),
    withScalar(exact, ['%', '^', '>', '<=', '== bool', '!= bool', '!='], ['0', '1', '2', '-1']),
    fc
      .tuple(tie('aggregation'), fc.constantFrom('+', 'and', 'or', 'unless', '-'), matching, tie('aggregation'))
      .map(([left, op, match, right]) => `(${left} ${op}${match} ${right})`),
    fc
      .tuple(exact, fc.constantFrom('/', '>', '== bool', '%'), matching, exact)
      .map(([left, op, match, right]) => `(${left} ${op}${match} ${right})`),
    fc
      .tuple(
        fc.oneof(exact, tie('aggregation')),
        fc.constantFrom('*', '+'),
        fc.constantFrom('group_left', 'group_right', 'group_left (env)'),
        exact,
      )
      .map(([left, op, group, right]) => `(${left} ${op} on (app) ${group} ${right})`),
    fc
      .tuple(
        tie('vector'),
        fc.constantFrom('dst', 'app'),
        fc.constantFrom('$1', 'x-${1}', '', 'fixed', '$9'),
        fc.constantFrom('app', 'env', 'none'),
        fc.constantFrom('(.*)', '(a)|b', 'x', '.+', ''),
      )
      .map(
        ([inner, dst, replacement, src, regex]) =>
          `label_replace(${inner}, ${[dst, replacement, src, regex].map(quoted).join(', ')})`,
      ),
    fc.constant('vector(1)'),
  ),
  aggregation: fc
    .tuple(
      fc.constantFrom('sum', 'sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar'),
      fc.option(grouping, { nil: '' }),
      tie('vector'),
    )
    .map(([op, by, inner]) => `${op}${by} (${inner})`),
})).vector;

function withScalar(of: fc.Arbitrary<string>, ops: readonly string[], values: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(of, fc.constantFrom(...ops), fc.constantFrom(...values), fc.boolean())
    .map(([inner, op, value, swap]) => (swap ? `(${value} ${op} ${inner})` : `(${inner} ${op} ${value})`));
}

/** At the root only: which of equal samples are among the best is not for the reference to say. */
export const metricQuery: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: vector },
  fc
    .tuple(
      fc.constantFrom('topk', 'bottomk'),
      fc.integer({ min: 1, max: 3 }),
      fc.option(fc.constant(' by (app)'), { nil: '' }),
      vector,
    )
    .map(([op, k, by, inner]) => `${op}${by} (${k}, ${inner})`),
  fc.tuple(fc.constantFrom('sort', 'sort_desc'), vector).map(([op, inner]) => `${op}(${inner})`),
);
