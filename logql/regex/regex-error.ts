/** A pattern that is not RE2, in Go's words: ``error parsing regexp: missing closing ]: `[` ``. */
export class RegexError extends Error {
  readonly code = 'bad_regex';
  override readonly name = 'RegexError';
}
