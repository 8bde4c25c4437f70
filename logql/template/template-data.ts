/** What a template sees of a row. */
export interface TemplateData {
  /** A label by name, `__error__` included; undefined when the row has none of that name. */
  get(name: string): string | undefined;
  /** All labels, in any order. */
  entries(): Iterable<readonly [string, string]>;
  /** The line as the stages before have left it. */
  line(): string;
  timestampNs(): bigint;
}
