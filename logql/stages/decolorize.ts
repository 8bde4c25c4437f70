import { compileRegex } from '../regex/index.ts';
import type { Row, RowStage } from './row.ts';

/** ANSI escape sequences, as Loki's `decolorize` finds them. */
const ESCAPE_SEQUENCE =
  '[\\x{1B}\\x{9B}][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\\x07)|(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))';

/** `| decolorize`. */
export class DecolorizeStage implements RowStage {
  readonly #sequence = compileRegex(ESCAPE_SEQUENCE);

  run(row: Row): boolean {
    const bytes = row.lineBytes();
    if (bytes.includes('\x1b') || bytes.includes('\xc2\x9b')) {
      row.setLine(this.#sequence.replaceAllLiteral(row.line(), ''));
    }
    return true;
  }
}
