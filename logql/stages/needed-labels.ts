/**
 * The labels that a query looks at, when it does not look at all of them. Parsers extract only these, and stop when
 * they have seen them all: what is wrong with the rest of the line then goes unseen, as in Loki.
 */
export class NeededLabels {
  readonly names: ReadonlySet<string>;
  /** What was asked for, without the names that parsers know it by. */
  readonly asked: ReadonlySet<string>;

  /** `null`: all labels. */
  static of(names: Iterable<string> | null): NeededLabels | null {
    return names === null ? null : new NeededLabels(names);
  }

  constructor(names: Iterable<string>) {
    const all = new Set<string>();
    this.asked = new Set(names);
    for (const name of this.asked) {
      all.add(name);
      // A parser is asked for the name before it knows that the stream has it too.
      if (name.endsWith('_extracted')) all.add(name.slice(0, -'_extracted'.length));
    }
    this.names = all;
  }

  has(name: string): boolean {
    return this.names.has(name);
  }

  /** Whether a name that starts with `prefix` and `_` is needed. */
  hasBelow(prefix: string): boolean {
    for (const name of this.names) if (name.startsWith(`${prefix}_`)) return true;
    return false;
  }
}

/** Of a parser: keys that never come again must not fill the memory. */
export const MAX_REMEMBERED_KEYS = 20_000;
