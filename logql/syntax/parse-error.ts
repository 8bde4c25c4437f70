/** A query or a label string that cannot be read. The message is Loki's whole text, ready to be answered. */
export class ParseError extends Error {
  readonly code = 'parse_error';
  /** 1-based line of the query, 0 when the error has no line. */
  readonly line: number;
  /** 1-based column in characters, 0 when the error has no column. */
  readonly column: number;

  constructor(message: string, line = 0, column = 0) {
    super(message);
    this.name = 'ParseError';
    this.line = line;
    this.column = column;
  }
}

/** A LogQL error at a place; without a place the text reads `parse error : …`, as Loki writes it. */
export function queryError(what: string, line = 0, column = 0): ParseError {
  const where = line === 0 && column === 0 ? ' ' : ` at line ${line}, col ${column}`;
  return new ParseError(`parse error${where}: ${what}`, line, column);
}
