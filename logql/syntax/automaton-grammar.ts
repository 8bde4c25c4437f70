import { TERMINALS, type Terminal } from './tokens.ts';

/**
 * LogQL as Loki 3.7's yacc grammar has it, for the automaton that words syntax errors. Rules stand one a line;
 * alternatives are separated by `/`; a symbol with `?` may be left out. Capitals are terminals. Which tokens an error
 * names depends on the shape of these rules and on the order of the terminals, so both follow Loki's.
 */
const RULES = `
root: expr
expr: logExpr / metricExpr / variantsExpr
logExpr: selector pipeline? / OPEN_PARENTHESIS logExpr CLOSE_PARENTHESIS
metricExpr: rangeAggregation / vectorAggregation / binary / literal / labelReplace / vectorExpr / OPEN_PARENTHESIS metricExpr CLOSE_PARENTHESIS
variantsExpr: VARIANTS OPEN_PARENTHESIS metricExprs CLOSE_PARENTHESIS OF OPEN_PARENTHESIS logRange CLOSE_PARENTHESIS
logRange: selector pipeline? unwrap? RANGE offset?
logRange: OPEN_PARENTHESIS selector pipeline? unwrap? CLOSE_PARENTHESIS RANGE offset?
logRange: selector RANGE offset? unwrap / OPEN_PARENTHESIS selector CLOSE_PARENTHESIS RANGE offset? unwrap
logRange: selector RANGE offset? pipeline unwrap? / OPEN_PARENTHESIS logRange CLOSE_PARENTHESIS / logRange error
unwrap: PIPE UNWRAP IDENTIFIER / PIPE UNWRAP conversion OPEN_PARENTHESIS IDENTIFIER CLOSE_PARENTHESIS / unwrap PIPE labelFilter
conversion: BYTES_CONV / DURATION_CONV / DURATION_SECONDS_CONV
rangeAggregation: rangeOp OPEN_PARENTHESIS logRange CLOSE_PARENTHESIS grouping?
rangeAggregation: rangeOp OPEN_PARENTHESIS NUMBER COMMA logRange CLOSE_PARENTHESIS grouping?
vectorAggregation: vectorOp grouping? OPEN_PARENTHESIS metricExpr CLOSE_PARENTHESIS
vectorAggregation: vectorOp OPEN_PARENTHESIS metricExpr CLOSE_PARENTHESIS grouping
vectorAggregation: vectorOp grouping? OPEN_PARENTHESIS NUMBER COMMA metricExpr CLOSE_PARENTHESIS
vectorAggregation: vectorOp OPEN_PARENTHESIS NUMBER COMMA metricExpr CLOSE_PARENTHESIS grouping
labelReplace: LABEL_REPLACE OPEN_PARENTHESIS metricExpr COMMA STRING COMMA STRING COMMA STRING COMMA STRING CLOSE_PARENTHESIS
selector: OPEN_BRACE matchers CLOSE_BRACE / OPEN_BRACE matchers error / OPEN_BRACE CLOSE_BRACE
matchers: matcher / matchers COMMA matcher
matcher: IDENTIFIER EQ STRING / IDENTIFIER NEQ STRING / IDENTIFIER RE STRING / IDENTIFIER NRE STRING
pipeline: stage / pipeline stage
stage: lineFilters / PIPE logfmtParser / PIPE labelParser / PIPE jsonExpressions / PIPE logfmtExpressions / PIPE labelFilter
stage: PIPE lineFormat / PIPE decolorize / PIPE labelFormats / PIPE dropLabels / PIPE keepLabels
filter: PIPE_MATCH / PIPE_EXACT / PIPE_PATTERN / NRE / NEQ / NPA
filterOp: IP
orFilter: STRING / STRING OR orFilter / filterOp OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS
lineFilter: filter STRING / filter filterOp OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS / lineFilter OR orFilter
lineFilters: lineFilter / lineFilters lineFilter
parserFlags: FUNCTION_FLAG / parserFlags FUNCTION_FLAG
logfmtParser: LOGFMT parserFlags?
labelParser: JSON / REGEXP STRING / UNPACK / PATTERN STRING
jsonExpressions: JSON extractions
logfmtExpressions: LOGFMT parserFlags? extractions
lineFormat: LINE_FMT STRING
decolorize: DECOLORIZE
labelFormat: IDENTIFIER EQ IDENTIFIER / IDENTIFIER EQ STRING
labelFormatList: labelFormat / labelFormatList COMMA labelFormat / labelFormatList COMMA error
labelFormats: LABEL_FMT labelFormatList
labelFilter: matcher / ipFilter / unitFilter / numberFilter / OPEN_PARENTHESIS labelFilter CLOSE_PARENTHESIS
labelFilter: labelFilter labelFilter / labelFilter AND labelFilter / labelFilter COMMA labelFilter / labelFilter OR labelFilter
extraction: IDENTIFIER EQ STRING / IDENTIFIER
extractions: extraction / extractions COMMA extraction
ipFilter: IDENTIFIER EQ IP OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS / IDENTIFIER NEQ IP OPEN_PARENTHESIS STRING CLOSE_PARENTHESIS
unitFilter: durationFilter / bytesFilter
durationFilter: IDENTIFIER <compare> DURATION
bytesFilter: IDENTIFIER <compare> BYTES
numberFilter: IDENTIFIER <compare> literal
namedMatcher: IDENTIFIER / matcher
namedMatchers: namedMatcher / namedMatchers COMMA namedMatcher
dropLabels: DROP namedMatchers
keepLabels: KEEP namedMatchers
binary: expr <binary> binaryModifier expr
boolModifier: / BOOL
onOrIgnoring: boolModifier <matching> OPEN_PARENTHESIS labels? CLOSE_PARENTHESIS
binaryModifier: boolModifier / onOrIgnoring / onOrIgnoring <group> / onOrIgnoring <group> OPEN_PARENTHESIS labels? CLOSE_PARENTHESIS
literal: NUMBER / ADD NUMBER / SUB NUMBER
vectorExpr: vector OPEN_PARENTHESIS NUMBER CLOSE_PARENTHESIS
vector: VECTOR
vectorOp: SUM / AVG / COUNT / MAX / MIN / STDDEV / STDVAR / BOTTOMK / TOPK / SORT / SORT_DESC / APPROX_TOPK
rangeOp: COUNT_OVER_TIME / RATE / RATE_COUNTER / BYTES_OVER_TIME / BYTES_RATE / AVG_OVER_TIME / SUM_OVER_TIME / MIN_OVER_TIME
rangeOp: MAX_OVER_TIME / STDVAR_OVER_TIME / STDDEV_OVER_TIME / QUANTILE_OVER_TIME / FIRST_OVER_TIME / LAST_OVER_TIME / ABSENT_OVER_TIME
offset: OFFSET DURATION
labels: IDENTIFIER / labels COMMA IDENTIFIER
grouping: BY OPEN_PARENTHESIS labels? CLOSE_PARENTHESIS / WITHOUT OPEN_PARENTHESIS labels? CLOSE_PARENTHESIS
metricExprs: metricExpr / metricExprs COMMA metricExpr
`;

/** Each member makes a rule of its own: precedence works only on terminals that stand in the rule. */
const FAMILIES: Readonly<Record<string, readonly Terminal[]>> = {
  '<compare>': ['GT', 'GTE', 'LT', 'LTE', 'NEQ', 'EQ', 'CMP_EQ'],
  '<binary>': [
    ...['OR', 'AND', 'UNLESS', 'ADD', 'SUB', 'MUL', 'DIV', 'MOD', 'POW'],
    ...['CMP_EQ', 'NEQ', 'GT', 'GTE', 'LT', 'LTE'],
  ] as Terminal[],
  '<matching>': ['ON', 'IGNORING'],
  '<group>': ['GROUP_LEFT', 'GROUP_RIGHT'],
};

/** Lowest first; only the last level groups to the right. */
export const PRECEDENCE: readonly (readonly Terminal[])[] = [
  ['OR'],
  ['AND', 'UNLESS'],
  ['CMP_EQ', 'NEQ', 'LT', 'LTE', 'GT', 'GTE'],
  ['ADD', 'SUB'],
  ['MUL', 'DIV', 'MOD'],
  ['POW'],
];

/** Symbols are numbers: terminals by their place in `TERMINALS`, the others after them. */
export interface Rule {
  readonly left: number;
  readonly right: readonly number[];
}

export const TERMINAL_COUNT = TERMINALS.length;

/** The rules in order, after rule 0, which is `$accept: root $end`. The first nonterminal is `root`. */
export function expandRules(): { rules: Rule[]; symbolCount: number } {
  const numbers = new Map<string, number>(TERMINALS.map((terminal, i) => [terminal, i]));
  const numberOf = (name: string): number => {
    const known = numbers.get(name);
    if (known !== undefined) return known;
    numbers.set(name, numbers.size);
    return numbers.size - 1;
  };
  const rules: Rule[] = [{ left: numberOf('$accept'), right: [numberOf('root'), numberOf('$end')] }];
  for (const line of RULES.trim().split('\n')) {
    const [left, alternatives] = line.split(':') as [string, string];
    for (const alternative of alternatives.split('/')) {
      const symbols = alternative.split(' ').filter((symbol) => symbol !== '');
      for (const right of expand(symbols)) rules.push({ left: numberOf(left), right: right.map(numberOf) });
    }
  }
  return { rules, symbolCount: numbers.size };
}

function expand(symbols: readonly string[]): string[][] {
  const [first, ...rest] = symbols;
  if (first === undefined) return [[]];
  const tails = expand(rest);
  const choices = FAMILIES[first] ?? [first.replace('?', '')];
  const withFirst = choices.flatMap((choice) => tails.map((tail) => [choice, ...tail]));
  return first.endsWith('?') ? [...tails, ...withFirst] : withFirst;
}
