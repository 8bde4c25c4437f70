import { Field, type FieldKind, type FieldRules } from './field.ts';
import { defaultLimits, type Limits } from './limits.ts';

/** Rules of a limit that is understood and has no effect here. */
export const IGNORED = { ignored: true } as const;

/** A limit; its default stands in `defaultLimits`. */
export function limit<K extends keyof Limits>(
  name: K,
  kind: FieldKind,
  flag: string,
  about: string,
  rules?: FieldRules,
): Field<Limits[K]> {
  return new Field(kind, defaultLimits[name], flag, about, rules);
}

/** A limit that is a mapping or a list. */
export function complex<K extends keyof Limits>(
  name: K,
  about: string,
  convert: (value: unknown) => Limits[K],
  rules?: FieldRules,
): Field<Limits[K]> {
  return new Field('structured', defaultLimits[name], '', about, rules, convert);
}
