import { StacklessError } from '../units/index.ts';

/** A template that does not parse or fails on a row. The message is Go's `text/template`'s, as Loki shows it. */
export class TemplateError extends StacklessError {
  override readonly name = 'TemplateError';
}
