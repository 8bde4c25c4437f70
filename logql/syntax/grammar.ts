import type { IOrAlt, IToken, ParserMethod } from 'chevrotain';
import type {
  BinaryOp,
  Expr,
  Grouping,
  LogRange,
  LogSelectorExpr,
  MetricExpr,
  RangeOp,
  Unwrap,
  VectorMatching,
  VectorOp,
} from './ast.ts';
import { type BinaryModifier, PLAIN_MODIFIER, type TreeBuilder } from './build.ts';
import { foldOperators } from './fold-operators.ts';
import { LogParser, numberOf, textOf } from './grammar-log.ts';
import { type QueryToken, TOKEN_TYPES as T } from './tokens.ts';

/**
 * The grammar of LogQL. It recognises exactly the queries of Loki's grammar, with one token of lookahead (two where a
 * gate says so), and builds the tree on the way. It has no error messages: those of Loki come out of an LR automaton,
 * which `explain.ts` runs over a query that this grammar refuses.
 */
export class QueryParser extends LogParser {
  /** An expression of a type that the grammar does not allow in its place. */
  #isRefused = false;

  constructor() {
    super();
    this.performSelfAnalysis();
  }

  /** Null when the tokens are no query. */
  parse(tokens: QueryToken[], builder: TreeBuilder): Expr | null {
    this.builder = builder;
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
      const op = textOf(this.SUBRULE(this.binaryOperator)) as BinaryOp;
      const modifier = this.SUBRULE(this.binaryModifier);
      ops.push({ op, modifier });
      operands.push(this.SUBRULE2(this.operand));
    });
    return this.ACTION(() => foldOperators(operands, ops, this.builder));
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
        { ALT: () => cardOf(this.CONSUME(T.GROUP_LEFT)) },
        { ALT: () => cardOf(this.CONSUME(T.GROUP_RIGHT)) },
      ]);
      include = this.OPTION2(() => this.SUBRULE2(this.labelList)) ?? [];
    });
    return { card, on, labels, include };
  });

  readonly labelList = this.RULE('labelList', (): string[] => {
    const labels: string[] = [];
    this.CONSUME(T.OPEN_PARENTHESIS);
    this.OPTION(() => {
      labels.push(textOf(this.CONSUME(T.IDENTIFIER)));
      this.MANY(() => {
        this.CONSUME(T.COMMA);
        labels.push(textOf(this.CONSUME2(T.IDENTIFIER)));
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
    return this.ACTION(() => this.builder.literal(text, isNegative));
  });

  readonly vector = this.RULE('vector', (): Expr => {
    this.CONSUME(T.VECTOR);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const text = textOf(this.CONSUME(T.NUMBER));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return this.ACTION(() => this.builder.vector(text));
  });

  readonly labelReplace = this.RULE('labelReplace', (): Expr => {
    this.CONSUME(T.LABEL_REPLACE);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const expr = this.SUBRULE(this.metricExpr);
    this.CONSUME1(T.COMMA);
    const dst = textOf(this.CONSUME1(T.STRING));
    this.CONSUME2(T.COMMA);
    const replacement = textOf(this.CONSUME2(T.STRING));
    this.CONSUME3(T.COMMA);
    const src = textOf(this.CONSUME3(T.STRING));
    this.CONSUME4(T.COMMA);
    const regex = textOf(this.CONSUME4(T.STRING));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return this.ACTION(() => this.builder.labelReplace(expr, dst, replacement, src, regex));
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
    const op = textOf(this.CONSUME(T.SUM)) as VectorOp;
    const before = this.OPTION1(() => this.SUBRULE1(this.grouping));
    this.CONSUME(T.OPEN_PARENTHESIS);
    const parameter = this.SUBRULE(this.parameter);
    const expr = this.SUBRULE(this.metricExpr);
    this.CONSUME(T.CLOSE_PARENTHESIS);
    const after = this.OPTION2({
      GATE: () => before === undefined,
      DEF: () => this.SUBRULE2(this.grouping),
    });
    return this.ACTION(() => this.builder.vectorAggregation(op, parameter, expr, before ?? after ?? null));
  });

  readonly rangeAggregation = this.RULE('rangeAggregation', (): Expr => {
    const op = textOf(this.CONSUME(T.RATE)) as RangeOp;
    this.CONSUME(T.OPEN_PARENTHESIS);
    const parameter = this.SUBRULE(this.parameter);
    const range = this.SUBRULE(this.logRange);
    this.CONSUME(T.CLOSE_PARENTHESIS);
    const grouping = this.OPTION(() => this.SUBRULE(this.grouping));
    return this.ACTION(() => this.builder.rangeAggregation(op, parameter, range, grouping ?? null));
  });

  /** A number and a comma before the first argument, as written. */
  readonly parameter = this.RULE('parameter', (): string | null => {
    const text = this.OPTION({
      GATE: () => this.LA(2).tokenType === T.COMMA,
      DEF: () => {
        const number = textOf(this.CONSUME(T.NUMBER));
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
}

function cardOf(token: IToken): VectorMatching['card'] {
  return textOf(token) === 'group_left' ? 'many-to-one' : 'one-to-many';
}

function isBare(log: LogSelectorExpr, unwrap: Unwrap | null): boolean {
  return log.stages.length === 0 && unwrap === null;
}
