import { EmbeddedActionsParser, type IOrAlt, type IToken, type ParserMethod } from 'chevrotain';
import type {
  CompareOp,
  DropLabels,
  Extraction,
  LabelFilter,
  LabelFormatItem,
  LineFilterOp,
  LineFilterOperand,
  LogSelectorExpr,
  Matcher,
  MatchOp,
  Stage,
  Unwrap,
} from './ast.ts';
import { filterNumber, TreeBuilder } from './build.ts';
import { type FilterConnective, foldConnectives } from './fold-operators.ts';
import { checkPatternStage } from './pattern-check.ts';
import { checkRegexpStage } from './regex-check.ts';
import { type QueryToken, TOKEN_TYPES as T, TERMINALS } from './tokens.ts';

export const textOf = (token: IToken): string => (token as QueryToken).value as string;
export const numberOf = (token: IToken): number => (token as QueryToken).value as number;

/** The half of the grammar that is about lines: selectors, stages and label filters. `QueryParser` adds the rest. */
export class LogParser extends EmbeddedActionsParser {
  protected builder = new TreeBuilder();

  constructor() {
    super([...new Set(TERMINALS.map((terminal) => T[terminal]))], { maxLookahead: 1, recoveryEnabled: false });
  }

  readonly logSelector = this.RULE('logSelector', (): LogSelectorExpr => {
    const matchers = this.SUBRULE(this.selector);
    const stages = this.SUBRULE(this.pipeline);
    return { kind: 'log', matchers, stages };
  });

  readonly unwrap = this.RULE('unwrap', (isAllowed?: boolean): Unwrap | null => {
    const unwrap = this.OPTION({
      GATE: () => isAllowed ?? true,
      DEF: (): Unwrap => {
        this.CONSUME1(T.PIPE);
        this.CONSUME(T.UNWRAP);
        const subject = this.OR([
          { ALT: () => ({ label: textOf(this.CONSUME1(T.IDENTIFIER)), conversion: null }) },
          {
            ALT: () => {
              const conversion = textOf(this.CONSUME(T.BYTES_CONV)) as Unwrap['conversion'];
              this.CONSUME(T.OPEN_PARENTHESIS);
              const label = textOf(this.CONSUME2(T.IDENTIFIER));
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
    const name = textOf(this.CONSUME(T.IDENTIFIER));
    return this.SUBRULE(this.matcherTail, { ARGS: [name] });
  });

  readonly matcherTail = this.RULE('matcherTail', (name: string): Matcher => {
    const op = textOf(
      this.OR([
        { ALT: () => this.CONSUME(T.EQ) },
        { ALT: () => this.CONSUME(T.NEQ) },
        { ALT: () => this.CONSUME(T.RE) },
        { ALT: () => this.CONSUME(T.NRE) },
      ]),
    ) as MatchOp;
    const value = textOf(this.CONSUME(T.STRING));
    return this.ACTION(() => this.builder.matcher(name, op, value));
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
          return { kind: 'line_format', template: textOf(this.CONSUME1(T.STRING)) };
        },
      },
      { ALT: () => this.SUBRULE(this.labelFormat) },
      {
        ALT: () => {
          this.CONSUME(T.REGEXP);
          const pattern = textOf(this.CONSUME2(T.STRING));
          this.ACTION(() => checkRegexpStage(pattern));
          return { kind: 'regexp', pattern };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.PATTERN);
          const pattern = textOf(this.CONSUME3(T.STRING));
          this.ACTION(() => checkPatternStage(pattern));
          return { kind: 'pattern', pattern };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.UNPACK);
          return { kind: 'unpack' };
        },
      },
      {
        ALT: () => {
          this.CONSUME(T.DECOLORIZE);
          return { kind: 'decolorize' };
        },
      },
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
    const op = textOf(
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
    return this.ACTION(() => this.builder.lineFilters(op, operands));
  });

  readonly lineFilterOperand = this.RULE('lineFilterOperand', (): LineFilterOperand => {
    return this.OR<IOrAlt<LineFilterOperand>[]>([
      { ALT: () => ({ fn: null, value: textOf(this.CONSUME(T.STRING)) }) },
      { ALT: () => ({ fn: 'ip', value: this.SUBRULE(this.ip) }) },
    ]);
  });

  readonly ip = this.RULE('ip', (): string => {
    this.CONSUME(T.IP);
    this.CONSUME(T.OPEN_PARENTHESIS);
    const pattern = textOf(this.CONSUME(T.STRING));
    this.CONSUME(T.CLOSE_PARENTHESIS);
    return pattern;
  });

  readonly logfmt = this.RULE('logfmt', (): Stage => {
    const flags: string[] = [];
    this.CONSUME(T.LOGFMT);
    this.MANY(() => {
      flags.push(textOf(this.CONSUME(T.FUNCTION_FLAG)));
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
    const label = textOf(this.CONSUME(T.IDENTIFIER));
    const expression = this.OPTION(() => {
      this.CONSUME(T.EQ);
      return textOf(this.CONSUME(T.STRING));
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
    const to = textOf(this.CONSUME1(T.IDENTIFIER));
    this.CONSUME(T.EQ);
    return this.OR<IOrAlt<LabelFormatItem>[]>([
      { ALT: () => ({ kind: 'rename', to, from: textOf(this.CONSUME2(T.IDENTIFIER)) }) },
      { ALT: () => ({ kind: 'template', to, template: textOf(this.CONSUME(T.STRING)) }) },
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
    const name = textOf(this.CONSUME(T.IDENTIFIER));
    const matcher = this.OPTION(() => this.SUBRULE(this.matcherTail, { ARGS: [name] }));
    return matcher ?? name;
  });

  readonly labelFilter: ParserMethod<[], LabelFilter> = this.RULE('labelFilter', (): LabelFilter => {
    const operands = [this.SUBRULE1(this.labelFilterOperand)];
    const connectives: FilterConnective[] = [];
    this.MANY(() => {
      const connective = this.OPTION(() =>
        this.OR<IOrAlt<FilterConnective>[]>([
          { ALT: () => connectiveOf(this.CONSUME(T.AND)) },
          { ALT: () => connectiveOf(this.CONSUME(T.OR)) },
          { ALT: () => connectiveOf(this.CONSUME(T.COMMA)) },
        ]),
      );
      connectives.push(connective ?? 'list');
      operands.push(this.SUBRULE2(this.labelFilterOperand));
    });
    return this.ACTION(() => foldConnectives(operands, connectives, this.builder));
  });

  readonly labelFilterOperand = this.RULE('labelFilterOperand', (): LabelFilter => {
    return this.OR<IOrAlt<LabelFilter>[]>([
      {
        ALT: () => {
          const name = textOf(this.CONSUME(T.IDENTIFIER));
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
          const op = textOf(
            this.OR2([{ ALT: () => this.CONSUME(T.RE) }, { ALT: () => this.CONSUME(T.NRE) }]),
          ) as MatchOp;
          const value = textOf(this.CONSUME1(T.STRING));
          return this.ACTION(() => this.builder.matcher(name, op, value));
        },
      },
      {
        ALT: () => {
          const op = textOf(this.OR3([{ ALT: () => this.CONSUME(T.EQ) }, { ALT: () => this.CONSUME(T.NEQ) }])) as
            | '='
            | '!=';
          return this.OR4<IOrAlt<LabelFilter>[]>([
            {
              ALT: () => {
                const value = textOf(this.CONSUME2(T.STRING));
                return this.ACTION(() => this.builder.matcher(name, op, value));
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
          const op = textOf(
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

  readonly signedNumber = this.RULE('signedNumber', (): { text: string; isNegative: boolean } => {
    const isNegative = this.OPTION(() =>
      this.OR([{ ALT: () => this.CONSUME(T.ADD) === undefined }, { ALT: () => this.CONSUME(T.SUB) !== undefined }]),
    );
    return { text: textOf(this.CONSUME(T.NUMBER)), isNegative: isNegative ?? false };
  });
}

function connectiveOf(token: IToken): FilterConnective {
  const text = textOf(token);
  return text === 'and' || text === 'or' ? text : 'list';
}
