import type { TemplateData } from '../template/index.ts';
import { ERROR_DETAILS_ID, ERROR_ID, type Row } from './row.ts';

export const TEMPLATE_ERROR = 'TemplateFormatErr';

/** A row as a template sees it. */
export class TemplateRow implements TemplateData {
  readonly #row: Row;
  /** Values that stand for the row's own, by id: `undefined` for a label that is not there. */
  #snapshot: ReadonlyMap<number, string> | null = null;

  constructor(row: Row) {
    this.#row = row;
  }

  /** From now on labels are those of `snapshot`; null: those of the row. */
  freeze(snapshot: ReadonlyMap<number, string> | null): void {
    this.#snapshot = snapshot;
  }

  get(name: string): string | undefined {
    const id = this.#row.id(name);
    if (this.#snapshot !== null) return this.#snapshot.get(id);
    if (id === ERROR_DETAILS_ID && this.#row.errorDetails !== '') return this.#row.errorDetails;
    return this.#row.getVisible(id);
  }

  entries(): Iterable<readonly [string, string]> {
    const snapshot = this.#snapshot ?? labelsOf(this.#row);
    return [...snapshot].map(([id, value]) => [this.#row.names[id]!, value] as const);
  }

  line(): string {
    return this.#row.line();
  }

  timestampNs(): bigint {
    const block = this.#row.block;
    return block.baseNs + BigInt(block.offsetsNs[this.#row.index]!);
  }
}

/** All labels of a row, errors included. */
export function labelsOf(row: Row): Map<number, string> {
  const labels = new Map<number, string>();
  row.forEachLabel((id, value) => labels.set(id, value));
  if (row.error !== '') labels.set(ERROR_ID, row.error);
  if (row.errorDetails !== '') labels.set(ERROR_DETAILS_ID, row.errorDetails);
  return labels;
}
