import { FieldError } from './field.ts';

/**
 * `${VAR}` and `${VAR:-default}` (also `${VAR-default}`, `${VAR:=default}`, `${VAR:?text}`) in a configuration file, for
 * `-config.expand-env`. An undefined variable is empty; `$${` gives a literal `${`. Throws FieldError with the line.
 */
export function expandEnvironment(source: string, environment: Readonly<Record<string, string | undefined>>): string {
  return source.replace(/\$(\$?)\{([^}]*)\}/g, (whole, escaped: string, inside: string, offset: number) => {
    if (escaped !== '') return whole.slice(1);
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-=?])([\s\S]*))?$/.exec(inside);
    if (match === null) {
      const line = source.slice(0, offset).split('\n').length;
      throw new FieldError(`line ${line}: expected \${NAME} or \${NAME:-default}, got ${whole}`);
    }
    const [, name, operator, argument = ''] = match;
    const value = environment[name!];
    const isAbsent = value === undefined || (operator?.startsWith(':') && value === '');
    if (operator === undefined || !isAbsent) return value ?? '';
    if (operator.endsWith('?')) {
      const line = source.slice(0, offset).split('\n').length;
      throw new FieldError(`line ${line}: the environment variable ${name} is required. ${argument}`.trim());
    }
    return argument;
  });
}
