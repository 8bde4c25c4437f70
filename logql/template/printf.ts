import { formatValue, plainSpec, type Spec } from './format.ts';
import { checkLength } from './limits.ts';
import { Integer, typeName, type Value } from './value.ts';

/** Go refuses widths and precisions beyond this. */
const MAX_WIDTH = 1_000_000;

/** Go's `fmt.Sprintf`. */
export function sprintf(format: string, args: readonly Value[]): string {
  return format.includes('%') || args.length > 0 ? new Formatter(format, args).run() : format;
}

class Formatter {
  readonly #format: string;
  readonly #args: readonly Value[];
  #at = 0;
  #arg = 0;
  /** An explicit index like `[2]` was used: then nothing is extra. */
  #reordered = false;
  #goodIndex = true;
  #afterIndex = false;

  constructor(format: string, args: readonly Value[]) {
    this.#format = format;
    this.#args = args;
  }

  run(): string {
    const format = this.#format;
    let out = '';
    while (this.#at < format.length) {
      const percent = format.indexOf('%', this.#at);
      if (percent < 0) {
        out += format.slice(this.#at);
        break;
      }
      out += format.slice(this.#at, percent);
      this.#at = percent + 1;
      out += this.#verb();
      checkLength(out.length);
    }
    return this.#reordered || this.#arg >= this.#args.length ? out : out + this.#extra();
  }

  #extra(): string {
    const shown = this.#args
      .slice(this.#arg)
      .map((arg) =>
        arg === undefined || arg === null ? '<nil>' : `${typeName(arg)}=${formatValue(arg, 'v', plainSpec())}`,
      );
    const text = `%!(EXTRA ${shown.join(', ')})`;
    checkLength(text.length);
    return text;
  }

  /** One verb, the `%` taken. */
  #verb(): string {
    const format = this.#format;
    const spec = plainSpec();
    let problems = '';
    this.#afterIndex = false;
    this.#goodIndex = true;
    this.#flags(spec);
    this.#index();
    if (format[this.#at] === '*') {
      this.#at++;
      const width = this.#intArg();
      if (width === null) problems += '%!(BADWIDTH)';
      else {
        spec.width = Math.abs(width);
        if (width < 0) {
          spec.minus = true;
          spec.zero = false;
        }
      }
      this.#afterIndex = false;
    } else {
      spec.width = this.#number();
      if (this.#afterIndex && spec.width !== null) this.#goodIndex = false;
    }
    if (format[this.#at] === '.') {
      this.#at++;
      if (this.#afterIndex) this.#goodIndex = false;
      this.#index();
      if (format[this.#at] === '*') {
        this.#at++;
        const precision = this.#intArg();
        if (precision === null || precision < 0) problems += precision === null ? '%!(BADPREC)' : '';
        else spec.precision = precision;
        this.#afterIndex = false;
      } else {
        spec.precision = this.#number() ?? 0;
      }
    }
    if (!this.#afterIndex) this.#index();
    const code = format.codePointAt(this.#at);
    if (code === undefined) return `${problems}%!(NOVERB)`;
    const verb = String.fromCodePoint(code);
    this.#at += verb.length;
    return problems + this.#operand(verb, spec);
  }

  #operand(verb: string, spec: Spec): string {
    if (verb === '%') return '%';
    if (!this.#goodIndex) return `%!${verb}(BADINDEX)`;
    if (this.#arg >= this.#args.length) return `%!${verb}(MISSING)`;
    if (verb === 'v') {
      // For structs only, of which templates have none.
      spec.plus = false;
      spec.goSyntax = spec.sharp;
      spec.sharp = false;
    }
    return formatValue(this.#args[this.#arg++], verb, spec);
  }

  #flags(spec: Spec): void {
    for (; ; this.#at++) {
      switch (this.#format[this.#at]) {
        case '#':
          spec.sharp = true;
          break;
        case '0':
          spec.zero = !spec.minus;
          break;
        case '+':
          spec.plus = true;
          break;
        case '-':
          spec.minus = true;
          spec.zero = false;
          break;
        case ' ':
          spec.space = true;
          break;
        default:
          return;
      }
    }
  }

  /** `[3]`: the operand to take next. */
  #index(): void {
    if (this.#format[this.#at] !== '[') return;
    this.#reordered = true;
    const close = this.#format.indexOf(']', this.#at);
    if (close < 0) {
      this.#goodIndex = false;
      this.#at++;
      return;
    }
    const text = this.#format.slice(this.#at + 1, close);
    this.#at = close + 1;
    const index = /^[0-9]{1,7}$/.test(text) ? Number(text) - 1 : -1;
    this.#afterIndex = true;
    if (index >= 0 && index < this.#args.length) this.#arg = index;
    else this.#goodIndex = false;
  }

  #number(): number | null {
    const from = this.#at;
    while (/^[0-9]$/.test(this.#format[this.#at] ?? '')) this.#at++;
    if (this.#at === from) return null;
    const value = Number(this.#format.slice(from, this.#at));
    if (value <= MAX_WIDTH) return value;
    this.#at = this.#format.length; // Go gives up on the rest.
    return null;
  }

  #intArg(): number | null {
    if (this.#arg >= this.#args.length) return null;
    const arg = this.#args[this.#arg++];
    if (!(arg instanceof Integer) || arg.value > MAX_WIDTH || arg.value < -MAX_WIDTH) return null;
    return Number(arg.value);
  }
}
