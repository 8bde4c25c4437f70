import { createToken, type IToken, Lexer, type TokenType } from 'chevrotain';

/**
 * Every terminal of LogQL, in the order in which Loki 3.7 declares them: error messages list expected tokens in this
 * order. The position in this list is the terminal's number in the tables of the explainer.
 */
export const TERMINALS = [
  '$end',
  'error',
  '$unk',
  'BYTES',
  'IDENTIFIER',
  'STRING',
  'NUMBER',
  'FUNCTION_FLAG',
  'DURATION',
  'RANGE',
  'MATCHERS',
  'LABELS',
  'EQ',
  'RE',
  'NRE',
  'NPA',
  'OPEN_BRACE',
  'CLOSE_BRACE',
  'OPEN_BRACKET',
  'CLOSE_BRACKET',
  'COMMA',
  'DOT',
  'PIPE_MATCH',
  'PIPE_EXACT',
  'PIPE_PATTERN',
  'OPEN_PARENTHESIS',
  'CLOSE_PARENTHESIS',
  'BY',
  'WITHOUT',
  'COUNT_OVER_TIME',
  'RATE',
  'RATE_COUNTER',
  'SUM',
  'SORT',
  'SORT_DESC',
  'AVG',
  'MAX',
  'MIN',
  'COUNT',
  'STDDEV',
  'STDVAR',
  'BOTTOMK',
  'TOPK',
  'APPROX_TOPK',
  'BYTES_OVER_TIME',
  'BYTES_RATE',
  'BOOL',
  'JSON',
  'REGEXP',
  'LOGFMT',
  'PIPE',
  'LINE_FMT',
  'LABEL_FMT',
  'UNWRAP',
  'AVG_OVER_TIME',
  'SUM_OVER_TIME',
  'MIN_OVER_TIME',
  'MAX_OVER_TIME',
  'STDVAR_OVER_TIME',
  'STDDEV_OVER_TIME',
  'QUANTILE_OVER_TIME',
  'BYTES_CONV',
  'DURATION_CONV',
  'DURATION_SECONDS_CONV',
  'FIRST_OVER_TIME',
  'LAST_OVER_TIME',
  'ABSENT_OVER_TIME',
  'VECTOR',
  'LABEL_REPLACE',
  'UNPACK',
  'OFFSET',
  'PATTERN',
  'IP',
  'ON',
  'IGNORING',
  'GROUP_LEFT',
  'GROUP_RIGHT',
  'DECOLORIZE',
  'DROP',
  'KEEP',
  'VARIANTS',
  'OF',
  'OR',
  'AND',
  'UNLESS',
  'CMP_EQ',
  'NEQ',
  'LT',
  'LTE',
  'GT',
  'GTE',
  'ADD',
  'SUB',
  'MUL',
  'DIV',
  'MOD',
  'POW',
] as const;

export type Terminal = (typeof TERMINALS)[number];

/** Words and signs that are always tokens of their own. Words are matched without regard to case. */
export const SIGNS = {
  ',': 'COMMA',
  '.': 'DOT',
  '{': 'OPEN_BRACE',
  '}': 'CLOSE_BRACE',
  '=': 'EQ',
  '!=': 'NEQ',
  '=~': 'RE',
  '!~': 'NRE',
  '!>': 'NPA',
  '|=': 'PIPE_EXACT',
  '|~': 'PIPE_MATCH',
  '|>': 'PIPE_PATTERN',
  '|': 'PIPE',
  '(': 'OPEN_PARENTHESIS',
  ')': 'CLOSE_PARENTHESIS',
  '[': 'OPEN_BRACKET',
  ']': 'CLOSE_BRACKET',
  '+': 'ADD',
  '-': 'SUB',
  '*': 'MUL',
  '/': 'DIV',
  '%': 'MOD',
  '^': 'POW',
  '==': 'CMP_EQ',
  '>': 'GT',
  '>=': 'GTE',
  '<': 'LT',
  '<=': 'LTE',
} as const satisfies Record<string, Terminal>;

export const KEYWORDS = {
  unwrap: 'UNWRAP',
  by: 'BY',
  without: 'WITHOUT',
  bool: 'BOOL',
  offset: 'OFFSET',
  on: 'ON',
  ignoring: 'IGNORING',
  group_left: 'GROUP_LEFT',
  group_right: 'GROUP_RIGHT',
  or: 'OR',
  and: 'AND',
  unless: 'UNLESS',
  json: 'JSON',
  regexp: 'REGEXP',
  logfmt: 'LOGFMT',
  unpack: 'UNPACK',
  pattern: 'PATTERN',
  label_format: 'LABEL_FMT',
  line_format: 'LINE_FMT',
  decolorize: 'DECOLORIZE',
  drop: 'DROP',
  keep: 'KEEP',
  variants: 'VARIANTS',
  of: 'OF',
} as const satisfies Record<string, Terminal>;

export const RANGE_FUNCTIONS = {
  rate: 'RATE',
  rate_counter: 'RATE_COUNTER',
  count_over_time: 'COUNT_OVER_TIME',
  bytes_rate: 'BYTES_RATE',
  bytes_over_time: 'BYTES_OVER_TIME',
  avg_over_time: 'AVG_OVER_TIME',
  sum_over_time: 'SUM_OVER_TIME',
  min_over_time: 'MIN_OVER_TIME',
  max_over_time: 'MAX_OVER_TIME',
  stdvar_over_time: 'STDVAR_OVER_TIME',
  stddev_over_time: 'STDDEV_OVER_TIME',
  quantile_over_time: 'QUANTILE_OVER_TIME',
  first_over_time: 'FIRST_OVER_TIME',
  last_over_time: 'LAST_OVER_TIME',
  absent_over_time: 'ABSENT_OVER_TIME',
} as const satisfies Record<string, Terminal>;

export const VECTOR_FUNCTIONS = {
  sum: 'SUM',
  avg: 'AVG',
  max: 'MAX',
  min: 'MIN',
  count: 'COUNT',
  stddev: 'STDDEV',
  stdvar: 'STDVAR',
  bottomk: 'BOTTOMK',
  topk: 'TOPK',
  sort: 'SORT',
  sort_desc: 'SORT_DESC',
  approx_topk: 'APPROX_TOPK',
} as const satisfies Record<string, Terminal>;

export const CONVERSIONS = {
  bytes: 'BYTES_CONV',
  duration: 'DURATION_CONV',
  duration_seconds: 'DURATION_SECONDS_CONV',
} as const satisfies Record<string, Terminal>;

/** Words that are tokens only where a parenthesis or a grouping follows; elsewhere they are identifiers. */
export const FUNCTIONS = {
  ...RANGE_FUNCTIONS,
  ...VECTOR_FUNCTIONS,
  ...CONVERSIONS,
  vector: 'VECTOR',
  label_replace: 'LABEL_REPLACE',
  ip: 'IP',
} as const satisfies Record<string, Terminal>;

/** How error messages call a terminal: signs and keywords by their text, the rest by their name. */
export const TERMINAL_LABELS: ReadonlyMap<Terminal, string> = terminalLabels();

function terminalLabels(): Map<Terminal, string> {
  const labels = new Map<Terminal, string>(TERMINALS.map((terminal) => [terminal, terminal]));
  for (const [text, terminal] of Object.entries({ ...SIGNS, ...KEYWORDS })) labels.set(terminal, text);
  labels.set('LABEL_REPLACE', 'label_replace');
  labels.set('IP', 'ip');
  return labels;
}

/**
 * Terminals as Chevrotain knows them. Functions of one family share a type: the grammar treats them alike, and the
 * token's value tells which it is. The query scanner makes the tokens, so none has a pattern.
 */
export const TOKEN_TYPES: Readonly<Record<Terminal, TokenType>> = tokenTypes();

function tokenTypes(): Record<Terminal, TokenType> {
  const family = (name: string, table: Readonly<Record<string, Terminal>>): [Terminal, TokenType][] => {
    const type = createToken({ name, pattern: Lexer.NA });
    return Object.values(table).map((terminal) => [terminal, type]);
  };
  const types = new Map<Terminal, TokenType>([
    ...family('RANGE_FUNCTION', RANGE_FUNCTIONS),
    ...family('VECTOR_FUNCTION', VECTOR_FUNCTIONS),
    ...family('CONVERSION', CONVERSIONS),
  ]);
  for (const terminal of TERMINALS) {
    if (!types.has(terminal)) types.set(terminal, createToken({ name: terminal, pattern: Lexer.NA }));
  }
  return Object.fromEntries(types) as Record<Terminal, TokenType>;
}

/** A token with its meaning: the text of an identifier or string, nanoseconds, bytes, or a keyword in lower case. */
export class QueryToken implements IToken {
  readonly image: string;
  readonly startOffset: number;
  readonly tokenType: TokenType;
  readonly tokenTypeIdx: number;
  readonly terminal: Terminal;
  readonly value: string | number;

  constructor(terminal: Terminal, image: string, startOffset: number, value: string | number) {
    this.image = image;
    this.startOffset = startOffset;
    this.tokenType = TOKEN_TYPES[terminal];
    this.tokenTypeIdx = this.tokenType.tokenTypeIdx!;
    this.terminal = terminal;
    this.value = value;
  }
}
