import type { TemplateData } from '../template-data.ts';
import type { Value } from '../value.ts';

/** Go type of a parameter: arguments are checked against it before the call, with Go's complaints. */
export type ParameterType =
  | 'string'
  | 'bool'
  | 'int'
  | 'float64'
  | 'interface {}'
  | 'reflect.Value'
  | 'time.Time'
  | 'time.Duration'
  | '*time.Location';

export interface TemplateFunction {
  readonly parameters: readonly ParameterType[];
  /** Type of any further arguments; null when there are none. */
  readonly variadic: ParameterType | null;
  /** Arguments are of the types above. Throws `FunctionError`. */
  readonly call: (args: readonly Value[], data: TemplateData) => Value;
  /** `and`, `or` and `call` are part of evaluation in Go, too. */
  readonly special?: 'and' | 'or' | 'call';
  /** Steps that a call counts beyond one, when it does much for its arguments' size. */
  readonly cost?: number;
  /** Number of results if Go refuses to call it for that. */
  readonly refusedResults?: number;
}

export type FunctionTable = Readonly<Record<string, TemplateFunction>>;

/** A function of strings. */
export function ofStrings(count: number, call: (...args: string[]) => Value): TemplateFunction {
  return {
    parameters: Array.from({ length: count }, () => 'string'),
    variadic: null,
    call: (args) => call(...(args as string[])),
  };
}

export function define(
  parameters: readonly ParameterType[],
  call: TemplateFunction['call'],
  variadic: ParameterType | null = null,
): TemplateFunction {
  return { parameters, variadic, call };
}
