import { StacklessError } from './stackless-error.ts';

/** A text that is not what its format says. The message is Go's, as Loki shows it. */
export class UnitError extends StacklessError {
  override readonly name = 'UnitError';
}
