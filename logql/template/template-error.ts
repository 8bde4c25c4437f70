/** A template that does not parse or fails on a row. The message is Go's `text/template`'s, as Loki shows it. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}
