import { EmbeddedActionsParser, type IOrAlt, type IToken, type ParserMethod } from 'chevrotain';
import type {
  BinaryOp,
  CompareOp,
  DropLabels,
  Expr,
  Extraction,
  Grouping,
  LabelFilter,
  LabelFormatItem,
  LineFilterOp,
  LineFilterOperand,
  LogRange,
  LogSelectorExpr,
  Matcher,
  MatchOp,
  MetricExpr,
  RangeOp,
  Stage,
  Unwrap,
  VectorMatching,
  VectorOp,
} from './ast.ts';
import { type BinaryModifier, filterNumber, PLAIN_MODIFIER, TreeBuilder } from './build.ts';
import { checkPatternStage } from './pattern-check.ts';
import { BINARY_PRECEDENCE } from './precedence.ts';
import { checkRegexpStage } from './regex-check.ts';
import { type QueryToken, TOKEN_TYPES as T, TERMINALS } from './tokens.ts';

const valueOf = (token: IToken): string => (token as QueryToken).value as string;
const numberOf = (token: IToken): number => (token as QueryToken).value as number;

/**
 * The grammar of LogQL. It recognises exactly the queries of Loki's grammar, with one token of lookahead (two where a
 * gate says so), and builds the tree on the way. It has no error messages: those of Loki come out of an LR automaton,
 * which `explain.ts` runs over a query that this grammar refuses.
 */
export class QueryParser extends EmbeddedActionsParser {
  #builder = new TreeBuilder();
  /** An expression of a type that the grammar does not allow in its place. */
  #isRefused = false;

  constructor() {
    super([...new Set(TERMINALS.map((terminal) => T[terminal]))], { maxLookahead: 1, recoveryEnabled: false });
    this.performSelfAnalysis();
  }

  /** Null when the tokens are no query. */
  parse(tokens: QueryToken[], builder: TreeBuilder): Expr | null {
    this.#builder = builder;
    this.#isRefused = false;
    this.input = tokens;
    const expr = this.query();
    return this.errors.length > 0 || this.#isRefused ? null : expr;
  }

  readonly query = this.RULE('query', (): Expr => {
    return this.SUBRULE(this.expr);
  });

  readonly expr: ParserMethod<[], Expr> = this.RULE('expr', (): Expr => {
    const operands: Expr[] = [this.SUBRULE(this.operand)];
    const ops: { op: BinaryOp; modifier: BinaryModifier }[] = [];
    this.MANY(() => {
      const op = valueOf(this.SUBRULE(this.binaryOperator)) as BinaryOp;
      const modifier = this.SUBRULE(this.binaryModifier);
      ops.push({ op, modifier });
      operands.push(this.SUBRULE2(this.operand));
    });
    return this.ACTION(() => foldOperators(operands, ops, this.#builder));
  });

  readonly metricExpr: ParserMethod<[], MetricExpr> = this.RULE('metricExpr', (): MetricExpr => {
    const expr = this.SUBRULE(this.expr);
    this.ACTION(() => {
      if (expr.kind === 'log' || expr.kind === 'variants') this.#isRefused = true;
    });
    return expr as MetricExpr;
  });

  readonly binaryOperator = this.RULE('binaryOperator', (): IToken => {
    return this.OR([
      { ALT: () => this.CONSUME(T.OR) },
      { ALT: () => this.CONSUME(T.AND) },
      { ALT: () => this.CONSUME(T.UNLESS) },
      { ALT: () => this.CONSUME(T.CMP_EQ) },
      { ALT: () => this.CONSUME(T.NEQ) },
      { ALT: () => this.CONSUME(T.LT) },
      { ALT: () => this.CONSUME(T.LTE) },
      { ALT: () => this.CONSUME(T.GT) },
      { ALT: () => this.CONSUME(T.GTE) },
      { ALT: () => this.CONSUME(T.ADD) },
      { ALT: () => this.CONSUME(T.SUB) },
      { ALT: () => this.CONSUME(T.MUL) },
      { ALT: () => this.CONSUME(T.DIV) },
      { ALT: () => this.CONSUME(T.MOD) },
      { ALT: () => this.CONSUME(T.POW) },
    ]);
  });

  readonly binaryModifier = this.RULE('binaryModifier', (): BinaryModifier => {
    const bool = this.OPTION(() => this.CONSUME(T.BOOL)) !== undefined;
    const matching = this.OPTION2(() => this.SUBRULE(this.vectorMatching));
    if (!bool && matching === undefined) return PLAIN_MODIFIER;
    return { bool, matching: matching ?? PLAIN_MODIFIER.matching };
  });

  readonly vectorMatching = this.RULE('vectorMatching', (): VectorMatching => {
    const on = this.OR([
      { ALT: () => this.CONSUME(T.ON) !== undefined },
      { ALT: () => this.CONSUME(T.IGNORING) === undefined },
    ]);
    const labels = this.SUBRULE(this.labelList);
    let card: VectorMatching['card'] = 'one-to-one';
    let include: readonly string[] = [];
    this.OPTION(() => {
      card = this.OR2([
        { ALT: () => (this.CONSUME(T.GROUP_LEFT), 'many-to-one' as const) },
        { ALT: () => (this.CONSUME(T.GROUP_RIGHT), 'one-to-many' as const) },
      ]);
      include = this.OPTION2(() => this.SUBRULE2(this.labelList)) ?? [];
    });
    return { card, on, labels, include };
  });

  readonly labelList = this.RULE('labelList', (): string[] => {
    const labels: string[] = [];
    this.CONSUME(T.OPEN_PARENTHESIS);
    this.OPTION(() => {
      labels.push(valueOf(this.CONSUME(T.IDENTIFIER)));
      this.MANY(() => {
        this.CONSUME(T.COMMA);
        labels.push(valueOf(this.CONSUME2(T.IDENTIFIER)));
      });
    });
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return labels;
  });

  readonly operand = this.RULE('operand', (): Expr => {
    return this.OR<IOrAlt<Expr>[]>([
      { ALT: () => this.SUBRULE(this.logSelector) },
      { ALT: () => this.SUBRULE(this.parenthesized) },
      { ALT: () => this.SUBRULE(this.rangeAggregation) },
      { ALT: () => this.SUBRULE(this.vectorAggregation) },
      { ALT: () => this.SUBRULE(this.literal) },
      { ALT: () => this.SUBRULE(this.labelReplace) },
      { ALT: () => this.SUBRULE(this.vector) },
      { ALT: () => this.SUBRULE(this.variants) },
    ]);
  });

  readonly parenthesized = this.RULE('parenthesized', (): Expr => {
    this.CONSUME(T.OPEN_PARENTHESIS);
    const expr = this.SUBRULE(this.expr);
    this.CONSUME(T.CLOSE_PARENTHESIS);
    this.ACTION(() => {
      if (expr.kind === 'variants') this.#isRefused = true;
    });
    return expr;
  });

  readonly literal = this.RULE('literal', (): Expr => {
    const { text, isNegative } = this.SUBRULE(this.signedNumber);
    return this.ACTION(() => this.#builder.literal(text, isNegative));
  });

  readonly signedNumber = this.RULE('signedNumber', (): { text: string; isNegative: boolean } => {
    const isNegative = this.OPTION(() =>
      this.OR([{ ALT: () => this.CONSUME(T.ADD) === undefined }, { ALT: () => this.CONSUME(T.SUB) !== undefined }]),
    );
    return { text: valueOf(this.CONSUME(T.NUMBER)), isNegative: isNegative ?? false };
  });

  readonly vector = this.RULE('vector', (): Expr => {
    this.CONSUME(T.VECTOR);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const text = valueOf(this.CONSUME(T.NUMBER));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return this.ACTION(() => this.#builder.vector(text));
  });

  readonly labelReplace = this.RULE('labelReplace', (): Expr => {
    this.CONSUME(T.LABEL_REPLACE);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const expr = this.SUBRULE(this.metricExpr);
    this.CONSUME1(T.COMMA);
    const dst = valueOf(this.CONSUME1(T.STRING));
    this.CONSUME2(T.COMMA);
    const replacement = valueOf(this.CONSUME2(T.STRING));
    this.CONSUME3(T.COMMA);
    const src = valueOf(this.CONSUME3(T.STRING));
    this.CONSUME4(T.COMMA);
    const regex = valueOf(this.CONSUME4(T.STRING));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return this.ACTION(() => this.#builder.labelReplace(expr, dst, replacement, src, regex));
  });

  readonly variants = this.RULE('variants', (): Expr => {
    this.CONSUME(T.VARIANTS);
    this.CONSUME1(T.OPEN_PARENTHESIS);
    const variants = [this.SUBRULE1(this.metricExpr)];
    this.MANY(() => {
      this.CONSUME(T.COMMA);
      variants.push(this.SUBRULE2(this.metricExpr));
    });
    this.CONSUME1(T.CLOSE_PARENTHESIS);
    this.CONSUME(T.OF);
    this.CONSUME2(T.OPEN_PARENTHESIS);
    const range = this.SUBRULE(this.logRange);
    this.CONSUME2(T.CLOSE_PARENTHESIS);
    return { kind: 'variants', variants, range };
  });

  readonly vectorAggregation = this.RULE('vectorAggregation', (): Expr => {
    const op = valueOf(this.CONSUME(T.SUM)) as VectorOp;
    const before = this.OPTION1(() => this.SUBRULE1(this.grouping));
    this.CONSUME(T.OPEN_PARENTHESIS);
    const parameter = this.SUBRULE(this.parameter);
    const expr = this.SUBRULE(this.metricExpr);
    this.CONSUME(T.CLOSE_PARENTHESIS);
    const after = this.OPTION2({
      GATE: () => before === undefined,
      DEF: () => this.SUBRULE2(this.grouping),
    });
    return this.ACTION(() => this.#builder.vectorAggregation(op, parameter, expr, before ?? after ?? null));
  });

  readonly rangeAggregation = this.RULE('rangeAggregation', (): Expr => {
    const op = valueOf(this.CONSUME(T.RATE)) as RangeOp;
    this.CONSUME(T.OPEN_PARENTHESIS);
    const parameter = this.SUBRULE(this.parameter);
    const range = this.SUBRULE(this.logRange);
    this.CONSUME(T.CLOSE_PARENTHESIS);
    const grouping = this.OPTION(() => this.SUBRULE(this.grouping));
    return this.ACTION(() => this.#builder.rangeAggregation(op, parameter, range, grouping ?? null));
  });

  /** A number and a comma before the first argument, as written. */
  readonly parameter = this.RULE('parameter', (): string | null => {
    const text = this.OPTION({
      GATE: () => this.LA(2).tokenType === T.COMMA,
      DEF: () => {
        const number = valueOf(this.CONSUME(T.NUMBER));
        this.CONSUME(T.COMMA);
        return number;
      },
    });
    return text ?? null;
  });

  readonly grouping = this.RULE('grouping', (): Grouping => {
    const without = this.OR([
      { ALT: () => this.CONSUME(T.BY) === undefined },
      { ALT: () => this.CONSUME(T.WITHOUT) !== undefined },
    ]);
    return { without, labels: this.SUBRULE(this.labelList) };
  });

  readonly logSelector = this.RULE('logSelector', (): LogSelectorExpr => {
    const matchers = this.SUBRULE(this.selector);
    const stages = this.SUBRULE(this.pipeline);
    return { kind: 'log', matchers, stages };
  });

  /**
   * The range stands after the pipeline or before it, and parentheses go around the whole or around all but the range
   * and the offset.
   */
  readonly logRange: ParserMethod<[], LogRange> = this.RULE('logRange', (): LogRange => {
    return this.OR<IOrAlt<LogRange>[]>([
      { ALT: () => this.SUBRULE(this.bareLogRange) },
      { ALT: () => this.SUBRULE(this.parenthesizedLogRange) },
    ]);
  });

  readonly bareLogRange = this.RULE('bareLogRange', (): LogRange => {
    const log = this.SUBRULE(this.logSelector);
    const unwrap = this.SUBRULE(this.unwrap);
    return this.SUBRULE(this.rangeTail, { ARGS: [log, unwrap] });
  });

  readonly parenthesizedLogRange: ParserMethod<[], LogRange> = this.RULE('parenthesizedLogRange', (): LogRange => {
    this.CONSUME(T.OPEN_PARENTHESIS);
    return this.OR<IOrAlt<LogRange>[]>([
      {
        ALT: () => {
          const range = this.SUBRULE(this.parenthesizedLogRange);
          this.CONSUME1(T.CLOSE_PARENTHESIS);
          return range;
        },
      },
      {
        ALT: () => {
          const log = this.SUBRULE(this.logSelector);
          const unwrap = this.SUBRULE1(this.unwrap);
          return this.OR2<IOrAlt<LogRange>[]>([
            {
              ALT: () => {
                const range = this.SUBRULE(this.rangeTail, { ARGS: [log, unwrap] });
                this.CONSUME2(T.CLOSE_PARENTHESIS);
                return range;
              },
            },
            {
              ALT: () => {
                this.CONSUME3(T.CLOSE_PARENTHESIS);
                const rangeNs = numberOf(this.CONSUME(T.RANGE));
                const offsetNs = this.SUBRULE(this.offset);
                const mayUnwrap = this.ACTION(() => isBare(log, unwrap));
                const late = this.SUBRULE2(this.unwrap, { ARGS: [mayUnwrap] });
                return { log, unwrap: unwrap ?? late, rangeNs, offsetNs };
              },
            },
          ]);
        },
      },
    ]);
  });

  /** The range, its offset, and the pipeline if it did not come before. */
  readonly rangeTail = this.RULE('rangeTail', (log: LogSelectorExpr, unwrap: Unwrap | null): LogRange => {
    const rangeNs = numberOf(this.CONSUME(T.RANGE));
    const offsetNs = this.SUBRULE(this.offset);
    const mayFollow = this.ACTION(() => isBare(log, unwrap));
    const stages = this.SUBRULE(this.pipeline, { ARGS: [mayFollow] });
    const late = this.SUBRULE(this.unwrap, { ARGS: [mayFollow] });
    if (!mayFollow) return { log, unwrap, rangeNs, offsetNs };
    return { log: { kind: 'log', matchers: log.matchers, stages }, unwrap: late, rangeNs, offsetNs };
  });

  readonly offset = this.RULE('offset', (): number => {
    const ns = this.OPTION(() => {
      this.CONSUME(T.OFFSET);
      return numberOf(this.CONSUME(T.DURATION));
    });
    return ns ?? 0;
  });

  readonly unwrap = this.RULE('unwrap', (isAllowed?: boolean): Unwrap | null => {
    const unwrap = this.OPTION({
      GATE: () => isAllowed ?? true,
      DEF: (): Unwrap => {
        this.CONSUME1(T.PIPE);
        this.CONSUME(T.UNWRAP);
        const subject = this.OR([
          { ALT: () => ({ label: valueOf(this.CONSUME1(T.IDENTIFIER)), conversion: null }) },
          {
            ALT: () => {
              const conversion = valueOf(this.CONSUME(T.BYTES_CONV)) as Unwrap['conversion'];
              this.CONSUME(T.OPEN_PARENTHESIS);
              const label = valueOf(this.CONSUME2(T.IDENTIFIER));
              this.CONSUME(T.CLOSE_PARENTHESIS);
              return { label, conversion };
            },
          },
        ]);
        const postFilters: LabelFilter[] = [];
        this.MANY(() => {
          this.CONSUME2(T.PIPE);
          postFilters.push(this.SUBRULE(this.labelFilter));
        });
        return { ...subject, postFilters };
      },
    });
    return unwrap ?? null;
  });

  readonly selector = this.RULE('selector', (): Matcher[] => {
    const matchers: Matcher[] = [];
    this.CONSUME(T.OPEN_BRACE);
    this.OPTION(() => {
      matchers.push(this.SUBRULE1(this.matcher));
      this.MANY(() => {
        this.CONSUME(T.COMMA);
        matchers.push(this.SUBRULE2(this.matcher));
      });
    });
    this.CONSUME(T.CLOSE_BRACE);
    return matchers;
  });

  readonly matcher = this.RULE('matcher', (): Matcher => {
    const name = valueOf(this.CONSUME(T.IDENTIFIER));
    return this.SUBRULE(this.matcherTail, { ARGS: [name] });
  });

  readonly matcherTail = this.RULE('matcherTail', (name: string): Matcher => {
    const op = valueOf(
      this.OR([
        { ALT: () => this.CONSUME(T.EQ) },
        { ALT: () => this.CONSUME(T.NEQ) },
        { ALT: () => this.CONSUME(T.RE) },
        { ALT: () => this.CONSUME(T.NRE) },
      ]),
    ) as MatchOp;
    const value = valueOf(this.CONSUME(T.STRING));
    return this.ACTION(() => this.#builder.matcher(name, op, value));
  });

  readonly pipeline = this.RULE('pipeline', (isAllowed?: boolean): Stage[] => {
    const stages: Stage[] = [];
    this.MANY({
      GATE: () => (isAllowed ?? true) && this.LA(2).tokenType !== T.UNWRAP,
      DEF: () => {
        this.OR([
          {
            ALT: () => {
              const filters = this.SUBRULE(this.lineFilter);
              this.ACTION(() => stages.push(...filters));
            },
          },
          {
            ALT: () => {
              this.CONSUME(T.PIPE);
              stages.push(this.SUBRULE(this.pipedStage));
            },
          },
        ]);
      },
    });
    return stages;
  });

  readonly pipedStage = this.RULE('pipedStage', (): Stage => {
    return this.OR<IOrAlt<Stage>[]>([
      { ALT: () => ({ kind: 'label_filter', filter: this.SUBRULE(this.labelFilter) }) },
      {
        ALT: () => {
          this.CONSUME(T.JSON);
          return { kind: 'json', extractions: this.SUBRULE1(this.extractions) };
        },
      },
      { ALT: () => this.SUBRULE(this.logfmt) },
      {
        ALT: () => {
          this.CONSUME(T.LINE_FMT);
          return { kind: 'line_format', template: valueOf(this.CONSUME1(T.STRING)) };
        },
      },
      { ALT: () => this.SUBRULE(this.labelFormat) },
      {
        ALT: () => {
          this.CONSUME(T.REGEXP);
          const pattern = valueOf(this.CONSUME2(T.STRING));
          this.ACTION(() => checkRegexpStage(pattern));
          return { kind: 'regexp', pattern };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.PATTERN);
          const pattern = valueOf(this.CONSUME3(T.STRING));
          this.ACTION(() => checkPatternStage(pattern));
          return { kind: 'pattern', pattern };
        },
      },
      { ALT: () => (this.CONSUME(T.UNPACK), { kind: 'unpack' }) },
      { ALT: () => (this.CONSUME(T.DECOLORIZE), { kind: 'decolorize' }) },
      {
        ALT: (): DropLabels => {
          this.CONSUME(T.DROP);
          return { kind: 'drop', items: this.SUBRULE1(this.namedMatchers) };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.KEEP);
          return { kind: 'keep', items: this.SUBRULE2(this.namedMatchers) };
        },
      },
    ]);
  });

  readonly lineFilter = this.RULE('lineFilter', () => {
    const op = valueOf(
      this.OR([
        { ALT: () => this.CONSUME(T.PIPE_EXACT) },
        { ALT: () => this.CONSUME(T.NEQ) },
        { ALT: () => this.CONSUME(T.PIPE_MATCH) },
        { ALT: () => this.CONSUME(T.NRE) },
        { ALT: () => this.CONSUME(T.PIPE_PATTERN) },
        { ALT: () => this.CONSUME(T.NPA) },
      ]),
    ) as LineFilterOp;
    const operands = [this.SUBRULE1(this.lineFilterOperand)];
    this.MANY(() => {
      this.CONSUME(T.OR);
      operands.push(this.SUBRULE2(this.lineFilterOperand));
    });
    return this.ACTION(() => this.#builder.lineFilters(op, operands));
  });

  readonly lineFilterOperand = this.RULE('lineFilterOperand', (): LineFilterOperand => {
    return this.OR<IOrAlt<LineFilterOperand>[]>([
      { ALT: () => ({ fn: null, value: valueOf(this.CONSUME(T.STRING)) }) },
      { ALT: () => ({ fn: 'ip', value: this.SUBRULE(this.ip) }) },
    ]);
  });

  readonly ip = this.RULE('ip', (): string => {
    this.CONSUME(T.IP);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const pattern = valueOf(this.CONSUME(T.STRING));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return pattern;
  });

  readonly logfmt = this.RULE('logfmt', (): Stage => {
    const flags: string[] = [];
    this.CONSUME(T.LOGFMT);
    this.MANY(() => {
      flags.push(valueOf(this.CONSUME(T.FUNCTION_FLAG)));
    });
    const extractions = this.SUBRULE(this.extractions);
    const strict = flags.includes('--strict');
    return { kind: 'logfmt', strict, keepEmpty: flags.includes('--keep-empty'), extractions };
  });

  readonly extractions = this.RULE('extractions', (): Extraction[] => {
    const extractions: Extraction[] = [];
    this.OPTION(() => {
      extractions.push(this.SUBRULE1(this.extraction));
      this.MANY(() => {
        this.CONSUME(T.COMMA);
        extractions.push(this.SUBRULE2(this.extraction));
      });
    });
    return extractions;
  });

  readonly extraction = this.RULE('extraction', (): Extraction => {
    const label = valueOf(this.CONSUME(T.IDENTIFIER));
    const expression = this.OPTION(() => {
      this.CONSUME(T.EQ);
      return valueOf(this.CONSUME(T.STRING));
    });
    return { label, expression: expression ?? label };
  });

  readonly labelFormat = this.RULE('labelFormat', (): Stage => {
    const formats: LabelFormatItem[] = [];
    this.CONSUME(T.LABEL_FMT);
    formats.push(this.SUBRULE1(this.labelFormatItem));
    this.MANY(() => {
      this.CONSUME(T.COMMA);
      formats.push(this.SUBRULE2(this.labelFormatItem));
    });
    return { kind: 'label_format', formats };
  });

  readonly labelFormatItem = this.RULE('labelFormatItem', (): LabelFormatItem => {
    const to = valueOf(this.CONSUME1(T.IDENTIFIER));
    this.CONSUME(T.EQ);
    return this.OR<IOrAlt<LabelFormatItem>[]>([
      { ALT: () => ({ kind: 'rename', to, from: valueOf(this.CONSUME2(T.IDENTIFIER)) }) },
      { ALT: () => ({ kind: 'template', to, template: valueOf(this.CONSUME(T.STRING)) }) },
    ]);
  });

  readonly namedMatchers = this.RULE('namedMatchers', (): (string | Matcher)[] => {
    const items = [this.SUBRULE1(this.namedMatcher)];
    this.MANY(() => {
      this.CONSUME(T.COMMA);
      items.push(this.SUBRULE2(this.namedMatcher));
    });
    return items;
  });

  readonly namedMatcher = this.RULE('namedMatcher', (): string | Matcher => {
    const name = valueOf(this.CONSUME(T.IDENTIFIER));
    const matcher = this.OPTION(() => this.SUBRULE(this.matcherTail, { ARGS: [name] }));
    return matcher ?? name;
  });

  readonly labelFilter: ParserMethod<[], LabelFilter> = this.RULE('labelFilter', (): LabelFilter => {
    const operands = [this.SUBRULE1(this.labelFilterOperand)];
    const connectives: FilterConnective[] = [];
    this.MANY(() => {
      const connective = this.OPTION(() =>
        this.OR<IOrAlt<FilterConnective>[]>([
          { ALT: () => (this.CONSUME(T.AND), 'and') },
          { ALT: () => (this.CONSUME(T.OR), 'or') },
          { ALT: () => (this.CONSUME(T.COMMA), 'list') },
        ]),
      );
      connectives.push(connective ?? 'list');
      operands.push(this.SUBRULE2(this.labelFilterOperand));
    });
    return this.ACTION(() => foldConnectives(operands, connectives, this.#builder));
  });

  readonly labelFilterOperand = this.RULE('labelFilterOperand', (): LabelFilter => {
    return this.OR<IOrAlt<LabelFilter>[]>([
      {
        ALT: () => {
          const name = valueOf(this.CONSUME(T.IDENTIFIER));
          return this.SUBRULE(this.comparison, { ARGS: [name] });
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.OPEN_PARENTHESIS);
          const filter = this.SUBRULE(this.labelFilter);
          this.CONSUME(T.CLOSE_PARENTHESIS);
          return filter;
        },
      },
    ]);
  });

  readonly comparison = this.RULE('comparison', (name: string): LabelFilter => {
    return this.OR<IOrAlt<LabelFilter>[]>([
      {
        ALT: () => {
          const op = valueOf(
            this.OR2([{ ALT: () => this.CONSUME(T.RE) }, { ALT: () => this.CONSUME(T.NRE) }]),
          ) as MatchOp;
          const value = valueOf(this.CONSUME1(T.STRING));
          return this.ACTION(() => this.#builder.matcher(name, op, value));
        },
      },
      {
        ALT: () => {
          const op = valueOf(this.OR3([{ ALT: () => this.CONSUME(T.EQ) }, { ALT: () => this.CONSUME(T.NEQ) }])) as
            | '='
            | '!=';
          return this.OR4<IOrAlt<LabelFilter>[]>([
            {
              ALT: () => {
                const value = valueOf(this.CONSUME2(T.STRING));
                return this.ACTION(() => this.#builder.matcher(name, op, value));
              },
            },
            { ALT: () => ({ kind: 'ip_filter', name, op, pattern: this.SUBRULE(this.ip) }) },
            // To numbers, sizes and durations `=` and `==` are one, and print as `==`.
            { ALT: () => this.SUBRULE1(this.quantity, { ARGS: [name, op === '=' ? '==' : op] }) },
          ]);
        },
      },
      {
        ALT: () => {
          const op = valueOf(
            this.OR5([
              { ALT: () => this.CONSUME(T.GT) },
              { ALT: () => this.CONSUME(T.GTE) },
              { ALT: () => this.CONSUME(T.LT) },
              { ALT: () => this.CONSUME(T.LTE) },
              { ALT: () => this.CONSUME(T.CMP_EQ) },
            ]),
          ) as CompareOp;
          return this.SUBRULE2(this.quantity, { ARGS: [name, op] });
        },
      },
    ]);
  });

  readonly quantity = this.RULE('quantity', (name: string, op: CompareOp): LabelFilter => {
    return this.OR<IOrAlt<LabelFilter>[]>([
      { ALT: () => ({ kind: 'duration_filter', name, op, valueNs: numberOf(this.CONSUME(T.DURATION)) }) },
      { ALT: () => ({ kind: 'bytes_filter', name, op, valueBytes: numberOf(this.CONSUME(T.BYTES)) }) },
      {
        ALT: () => {
          const { text, isNegative } = this.SUBRULE(this.signedNumber);
          return this.ACTION(() => {
            const value = filterNumber(text);
            return { kind: 'number_filter' as const, name, op, value: isNegative ? -value : value };
          });
        },
      },
    ]);
  });
}

type FilterConnective = 'and' | 'or' | 'list';

function isBare(log: LogSelectorExpr, unwrap: Unwrap | null): boolean {
  return log.stages.length === 0 && unwrap === null;
}

/** Precedence climbing without recursion, for a chain may be longer than the stack is deep. */
function foldOperators(
  operands: readonly Expr[],
  ops: readonly { readonly op: BinaryOp; readonly modifier: BinaryModifier }[],
  builder: TreeBuilder,
): Expr {
  const values: Expr[] = [operands[0]!];
  const waiting: { op: BinaryOp; modifier: BinaryModifier }[] = [];
  const reduce = (): void => {
    const { op, modifier } = waiting.pop()!;
    const right = values.pop()!;
    values.push(builder.binary(op, modifier, values.pop()!, right));
  };
  for (const [i, next] of ops.entries()) {
    while (waiting.length > 0 && bindsFirst(waiting.at(-1)!.op, next.op)) reduce();
    waiting.push(next);
    values.push(operands[i + 1]!);
  }
  while (waiting.length > 0) reduce();
  return values[0]!;
}

/** Whether `a left b right c` is `(a left b) right c`. Only `^` groups to the right. */
function bindsFirst(left: BinaryOp, right: BinaryOp): boolean {
  const difference = BINARY_PRECEDENCE[left] - BINARY_PRECEDENCE[right];
  return difference > 0 || (difference === 0 && left !== '^');
}

/**
 * `and` binds tighter than `or`, both group to the left; a comma, or nothing at all, between two filters takes
 * everything on its right: `a, b or c` is `a and (b or c)`, and `a or b, c` is `a or (b and c)`.
 */
function foldConnectives(
  operands: readonly LabelFilter[],
  connectives: readonly FilterConnective[],
  builder: TreeBuilder,
): LabelFilter {
  const values: LabelFilter[] = [operands[0]!];
  const waiting: FilterConnective[] = [];
  const reduce = (): void => {
    const connective = waiting.pop()!;
    const right = values.pop()!;
    values.push(builder.connect(connective === 'or' ? 'or' : 'and', values.pop()!, right));
  };
  for (const [i, next] of connectives.entries()) {
    while (
      waiting.length > 0 &&
      (waiting.at(-1) === 'and' ? next !== 'list' : waiting.at(-1) === next && next === 'or')
    ) {
      reduce();
    }
    waiting.push(next);
    values.push(operands[i + 1]!);
  }
  while (waiting.length > 0) reduce();
  return values[0]!;
}
