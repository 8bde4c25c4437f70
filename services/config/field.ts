import { parseGoDuration, parsePrometheusDuration, UnitError } from '../../logql/units/index.ts';

/**
 * One key of the configuration, declared once: YAML reader, command line, `-help`, `/config` and docs/configuration.md
 * come from it. Durations are held in milliseconds, sizes in bytes, points in time in ms since 1970.
 */
export class Field<T> {
  readonly kind: FieldKind;
  readonly default: T;
  /** Name on the command line without the dash; '' when there is none. */
  readonly flag: string;
  /** One sentence for `-help` and the docs. */
  readonly about: string;
  readonly rules: FieldRules;
  /** For `structured`: checks and converts what YAML gave; throws FieldError. */
  readonly convert: ((value: unknown) => T) | undefined;
  constructor(
    kind: FieldKind,
    defaultValue: T,
    flag: string,
    about: string,
    rules: FieldRules = {},
    convert?: (value: unknown) => T,
  ) {
    this.kind = kind;
    this.default = defaultValue;
    this.flag = flag;
    this.about = about;
    this.rules = rules;
    this.convert = convert;
  }
}

export type FieldKind = 'string' | 'bool' | 'int' | 'float' | 'duration' | 'size' | 'strings' | 'time' | 'structured';

export interface FieldRules {
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
  /** Shown as `********`. */
  readonly secret?: boolean;
  /** Loki's key is understood, checked and without effect here. */
  readonly ignored?: boolean;
  /** A key that Loki does not have. */
  readonly own?: boolean;
  /** For `structured`: the value as YAML and JSON show it, where that is not the value itself. */
  readonly present?: (value: never) => unknown;
}

export interface Group {
  readonly [name: string]: Field<unknown> | Group;
}

/** The values that a group of fields describes. */
export type ConfigOf<G> = {
  readonly [K in keyof G]: G[K] extends Field<infer T> ? T : ConfigOf<G[K]>;
};

/** A value that does not fit its field; the message says what was expected. */
export class FieldError extends Error {
  readonly code = 'bad_config_value';
}

export const text = (value: string, flag: string, about: string, rules?: FieldRules) =>
  new Field<string>('string', value, flag, about, rules);
export const bool = (value: boolean, flag: string, about: string, rules?: FieldRules) =>
  new Field<boolean>('bool', value, flag, about, rules);
export const int = (value: number, flag: string, about: string, rules?: FieldRules) =>
  new Field<number>('int', value, flag, about, rules);
export const float = (value: number, flag: string, about: string, rules?: FieldRules) =>
  new Field<number>('float', value, flag, about, rules);
/** `value` in ms. */
export const duration = (value: number, flag: string, about: string, rules?: FieldRules) =>
  new Field<number>('duration', value, flag, about, rules);
/** `value` in bytes. */
export const size = (value: number, flag: string, about: string, rules?: FieldRules) =>
  new Field<number>('size', value, flag, about, rules);
export const strings = (value: readonly string[], flag: string, about: string, rules?: FieldRules) =>
  new Field<readonly string[]>('strings', value, flag, about, rules);
export const structured = <T>(value: T, about: string, convert: (value: unknown) => T, rules?: FieldRules) =>
  new Field<T>('structured', value, '', about, rules, convert);

/** Calls `visit` for each field below `group` with its path (`server.http_listen_port`), in order of declaration. */
export function walkFields(group: Group, visit: (path: string, field: Field<unknown>) => void, prefix = ''): void {
  for (const [name, entry] of Object.entries(group)) {
    if (entry instanceof Field) visit(prefix + name, entry);
    else walkFields(entry, visit, `${prefix}${name}.`);
  }
}

/** What `kind` expects, in words for an error. */
export const expectedOf: Record<FieldKind, string> = {
  string: 'a text',
  bool: 'true or false',
  int: 'a whole number',
  float: 'a number',
  duration: 'a duration such as 30s, 1h30m or 7d',
  size: 'a size such as 1536KB, 4MB or a number of bytes',
  strings: 'a list of texts',
  time: 'a time such as 2026-01-31T00:00:00Z',
  structured: 'a mapping or a list',
};

/** Reads one scalar as `field` wants it. Throws FieldError. */
export function parseScalar(field: Field<unknown>, source: string): unknown {
  const value = parseKind(field.kind, source);
  const { choices, min, max } = field.rules;
  if (choices !== undefined && !choices.includes(value as string)) {
    throw new FieldError(`expected one of ${choices.join(', ')}, got ${quote(source)}`);
  }
  if (typeof value === 'number' && ((min !== undefined && value < min) || (max !== undefined && value > max))) {
    const bounds = max === undefined ? `at least ${min}` : `between ${min ?? 0} and ${max}`;
    throw new FieldError(`expected ${expectedOf[field.kind]} that is ${bounds}, got ${quote(source)}`);
  }
  return value;
}

function parseKind(kind: FieldKind, source: string): unknown {
  const wrong = (): FieldError => new FieldError(`expected ${expectedOf[kind]}, got ${quote(source)}`);
  switch (kind) {
    case 'string':
      return source;
    case 'bool':
      if (/^(true|yes|on|y|1|t)$/i.test(source)) return true;
      if (/^(false|no|off|n|0|f)$/i.test(source)) return false;
      throw wrong();
    case 'int':
      if (!/^[-+]?\d+$/.test(source)) throw wrong();
      return Number(source);
    case 'float': {
      const value = Number(source);
      if (source.trim() === '' || !Number.isFinite(value)) throw wrong();
      return value;
    }
    case 'duration':
      return parseDurationMs(source, wrong);
    case 'size':
      return parseSizeBytes(source, wrong);
    case 'strings':
      return source === '' ? [] : source.split(',').map((part) => part.trim());
    case 'time': {
      if (source === '' || source === '0') return 0;
      const ms = Date.parse(source);
      if (Number.isNaN(ms)) throw wrong();
      return ms;
    }
    case 'structured':
      throw wrong();
    default:
      throw new Error(`no reader for ${kind satisfies never}`);
  }
}

const quote = (source: string): string => JSON.stringify(source);

/** Go's durations and Prometheus' (`30d1h`), with a sign; in ms, fractions kept. */
export function parseDurationMs(source: string, wrong: () => Error): number {
  try {
    return parseGoDuration(source) / 1e6;
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
  }
  try {
    return parsePrometheusDuration(source) / 1e6;
  } catch (error) {
    if (error instanceof UnitError) throw wrong();
    throw error;
  }
}

const SIZE_POWERS = ['', 'k', 'm', 'g', 't', 'p', 'e'];

/** Sizes to the base of 1024 with any of `B KB MB … K M G …`, in any case; a plain number is bytes. */
export function parseSizeBytes(source: string, wrong: () => Error): number {
  const match = /^([-+]?\d+)\s*([kmgtpe]?)(i?b)?$/i.exec(source.trim());
  if (match === null) throw wrong();
  const bytes = Number(match[1]) * 1024 ** SIZE_POWERS.indexOf(match[2]!.toLowerCase());
  if (bytes > Number.MAX_SAFE_INTEGER) throw wrong();
  return bytes;
}
