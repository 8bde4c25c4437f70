import { StacklessError } from '../units/index.ts';

/** What a function of a template returns as error; execution adds where. */
export class FunctionError extends StacklessError {
  override readonly name = 'FunctionError';
}
