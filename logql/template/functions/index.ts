import { builtinFunctions } from './builtins.ts';
import { numberFunctions } from './numbers.ts';
import type { TemplateFunction } from './signature.ts';
import { stringFunctions } from './strings.ts';
import { timeFunctions } from './times.ts';
import { valueFunctions } from './values.ts';

export { methodOf, TIME_FIELDS } from './methods.ts';
export type { ParameterType, TemplateFunction } from './signature.ts';

/** Everything that a template of LogQL may call. */
export const functions: ReadonlyMap<string, TemplateFunction> = new Map(
  Object.entries({
    ...builtinFunctions,
    ...stringFunctions,
    ...numberFunctions,
    ...valueFunctions,
    ...timeFunctions,
  }),
);
