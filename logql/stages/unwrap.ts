import type { Unwrap } from '../syntax/ast.ts';
import { parseBytes, parseGoDuration, UnitError } from '../units/index.ts';
import { compileLabelFilter } from './label-filter.ts';
import { readFloat } from './read-float.ts';
import type { Row, RowStage } from './row.ts';

const SAMPLE_EXTRACTION_ERROR = 'SampleExtractionErr';

/**
 * `| unwrap x`: the sample is the label's value. Rows without it are skipped; one that cannot be read is the sample 0
 * with an error, which filters behind the unwrap may take out.
 */
export class UnwrapStage implements RowStage {
  value = 0;
  readonly #id: number;
  /** The value is the number that the label is. */
  readonly #isPlain: boolean;
  readonly #convert: (text: string) => number;
  readonly #filters: readonly RowStage[];

  constructor(unwrap: Unwrap, row: Row) {
    this.#id = row.id(unwrap.label);
    this.#isPlain = unwrap.conversion === null;
    this.#convert = converter(unwrap.conversion);
    this.#filters = unwrap.postFilters.map((filter) => compileLabelFilter(filter, row));
  }

  run(row: Row): boolean {
    const plain = this.#isPlain ? row.plainNumber(this.#id) : Number.NaN;
    if (!Number.isNaN(plain)) this.value = plain;
    else if (!this.#read(row)) return false;
    for (const filter of this.#filters) if (!filter.run(row)) return false;
    return true;
  }

  #read(row: Row): boolean {
    const text = row.get(this.#id);
    if (text === undefined || text === '') return false;
    try {
      this.value = this.#convert(text);
    } catch (error: unknown) {
      if (!(error instanceof UnitError)) throw error;
      this.value = 0;
      row.fail(SAMPLE_EXTRACTION_ERROR, error.message);
    }
    return true;
  }
}

function converter(conversion: Unwrap['conversion']): (text: string) => number {
  switch (conversion) {
    case null:
      return readFloat;
    case 'bytes':
      return parseBytes;
    case 'duration':
    case 'duration_seconds':
      return (text) => parseGoDuration(text) / 1e9;
    default:
      return conversion satisfies never;
  }
}
