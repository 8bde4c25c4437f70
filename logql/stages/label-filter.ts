import { compileRegex } from '../regex/index.ts';
import type { CompareOp, LabelFilter, Matcher } from '../syntax/ast.ts';
import { formatBytes, parseBytes, parseGoDuration, UnitError } from '../units/index.ts';
import { compileIp, type IpPattern } from './ip.ts';
import { readFloat } from './read-float.ts';
import type { Row, RowStage } from './row.ts';
import { lowerAscii } from './text.ts';

const LABEL_FILTER_ERROR = 'LabelFilterErr';

/** Compiles a filter over labels; nodes of its tree are asked from left to right and no further than needed. */
export function compileLabelFilter(filter: LabelFilter, row: Row): RowStage {
  switch (filter.kind) {
    case 'matcher':
      return new StringFilter(filter, row);
    case 'number_filter':
      return new ConvertingFilter(filter, filter.value, readFloat, row);
    case 'duration_filter':
      return new ConvertingFilter(filter, filter.valueNs, parseGoDuration, row);
    case 'bytes_filter':
      return new ConvertingFilter(filter, asPrinted(filter.valueBytes), parseBytes, row);
    case 'ip_filter':
      return new IpFilter(filter.name, filter.op, compileIp(filter.pattern), row);
    case 'and':
    case 'or':
      return new BothFilter(filter.kind, compileLabelFilter(filter.left, row), compileLabelFilter(filter.right, row));
    default:
      return filter satisfies never;
  }
}

/** Whether a value (`''` for a missing label) satisfies the matcher; regular expressions match it as a whole. */
export function compileMatch(
  matcher: Pick<Matcher, 'op' | 'value'>,
  options: { dotAll?: boolean } = {},
): (value: string) => boolean {
  const { op, value: wanted } = matcher;
  switch (op) {
    case '=':
      return (value) => value === wanted;
    case '!=':
      return (value) => value !== wanted;
    case '=~':
    case '!~': {
      const regex = compileRegex(wanted, { anchored: true, ...options });
      const positive = op === '=~';
      if (regex.traits.matchesEverything) return () => positive;
      return (value) => regex.test(value) === positive;
    }
    default:
      return op satisfies never;
  }
}

/**
 * Loki's queriers get queries as printed text, in which a size has two digits and a decimal unit: 1.5KiB counts as
 * 1.5kB.
 */
function asPrinted(bytes: number): number {
  return parseBytes(formatBytes(bytes));
}

/** A regular expression that Loki's label filters replace by comparisons, which are not anchored beside a `.*`. */
function compileSimpleMatch({ op, value }: Matcher): ((value: string) => boolean) | null {
  if (op !== '=~' && op !== '!~') return null;
  const forms = compileRegex(value, { anchored: true }).traits.simpleForms;
  if (forms === null) return null;
  const positive = op === '=~';
  const tests = forms.map(({ kind, text, foldsCase }) => {
    if (kind === 'literal') {
      return foldsCase ? (label: string) => lowerAscii(label) === text : (label: string) => label === text;
    }
    return (label: string) => (foldsCase ? lowerAscii(label) : label).includes(text);
  });
  return (label) => tests.some((test) => test(label)) === positive;
}

class BothFilter implements RowStage {
  readonly #isAnd: boolean;
  readonly #left: RowStage;
  readonly #right: RowStage;

  constructor(kind: 'and' | 'or', left: RowStage, right: RowStage) {
    this.#isAnd = kind === 'and';
    this.#left = left;
    this.#right = right;
  }

  run(row: Row): boolean {
    return this.#left.run(row) === this.#isAnd ? this.#right.run(row) : !this.#isAnd;
  }

  mayPass(row: Row): boolean {
    const left = this.#left.mayPass?.(row) ?? true;
    return left === this.#isAnd ? (this.#right.mayPass?.(row) ?? true) : !this.#isAnd;
  }
}

class StringFilter implements RowStage {
  readonly #id: number;
  readonly #match: (value: string) => boolean;
  /** The only value that passes; null when others do. */
  readonly #wanted: string | null;

  constructor(matcher: Matcher, row: Row) {
    this.#wanted = matcher.op === '=' && matcher.value !== '' ? matcher.value : null;
    this.#id = row.id(matcher.name);
    this.#match = compileSimpleMatch(matcher) ?? compileMatch(matcher);
  }

  run(row: Row): boolean {
    return this.#match(row.getVisible(this.#id) ?? '');
  }

  mayPass(row: Row): boolean {
    return this.#wanted === null || row.mayHave(this.#id, this.#wanted);
  }
}

/**
 * `dur > 1s` and the like: the literal decides how the label is read. A row without the label is dropped, one whose
 * label cannot be read stays and carries the error, one with an error from before stays as it is.
 */
class ConvertingFilter implements RowStage {
  readonly #id: number;
  readonly #compare: (value: number) => boolean;
  readonly #convert: (text: string) => number;

  constructor(filter: { name: string; op: CompareOp }, wanted: number, convert: (text: string) => number, row: Row) {
    this.#id = row.id(filter.name);
    this.#compare = comparison(filter.op, wanted);
    this.#convert = convert;
  }

  run(row: Row): boolean {
    const text = row.get(this.#id);
    if (text === undefined) return false;
    let value: number;
    try {
      value = this.#convert(text);
    } catch (error: unknown) {
      if (!(error instanceof UnitError)) throw error;
      if (row.error === '') row.fail(LABEL_FILTER_ERROR, error.message);
      return true;
    }
    return this.#compare(value);
  }
}

class IpFilter implements RowStage {
  readonly #id: number;
  readonly #positive: boolean;
  readonly #pattern: IpPattern;

  constructor(name: string, op: '=' | '!=', pattern: IpPattern, row: Row) {
    this.#id = row.id(name);
    this.#positive = op === '=';
    this.#pattern = pattern;
  }

  run(row: Row): boolean {
    if (row.error !== '') return true;
    const text = row.get(this.#id);
    return text !== undefined && this.#pattern.foundIn(text) === this.#positive;
  }
}

function comparison(op: CompareOp, wanted: number): (value: number) => boolean {
  switch (op) {
    case '==':
    case '=':
      return (value) => value === wanted;
    case '!=':
      return (value) => value !== wanted;
    case '>':
      return (value) => value > wanted;
    case '>=':
      return (value) => value >= wanted;
    case '<':
      return (value) => value < wanted;
    case '<=':
      return (value) => value <= wanted;
    default:
      return op satisfies never;
  }
}
