import type { DropLabels, KeepLabels, Matcher } from '../syntax/ast.ts';
import { compileMatch } from './label-filter.ts';
import { ERROR_DETAILS_ID, ERROR_ID, type Row, type RowStage } from './row.ts';

interface LabelChoice {
  readonly id: number;
  /** Null: whatever the value. */
  readonly match: ((value: string) => boolean) | null;
}

function compileChoices(items: readonly (string | Matcher)[], row: Row): readonly LabelChoice[] {
  return items.map((item) =>
    typeof item === 'string' ? { id: row.id(item), match: null } : { id: row.id(item.name), match: compileMatch(item) },
  );
}

/** `| drop a, b="x"`: takes labels away, errors included. */
export class DropStage implements RowStage {
  readonly #choices: readonly LabelChoice[];

  constructor(stage: DropLabels, row: Row) {
    this.#choices = compileChoices(stage.items, row);
  }

  run(row: Row): boolean {
    for (const { id, match } of this.#choices) {
      if (match !== null && !match(row.getVisible(id) ?? '')) continue;
      // Labels of these names that a line brought along stay.
      if (id === ERROR_ID) row.error = '';
      else if (id === ERROR_DETAILS_ID) row.errorDetails = '';
      else row.drop(id);
    }
    return true;
  }
}

/** `| keep a, b="x"`: takes every other label away, except errors. */
export class KeepStage implements RowStage {
  readonly #choices = new Map<number, LabelChoice[]>();
  readonly #dropped: number[] = [];

  constructor(stage: KeepLabels, row: Row) {
    for (const choice of compileChoices(stage.items, row)) {
      const known = this.#choices.get(choice.id);
      if (known) known.push(choice);
      else this.#choices.set(choice.id, [choice]);
    }
  }

  run(row: Row): boolean {
    this.#dropped.length = 0;
    row.forEachLabel((id, value) => {
      if (id === ERROR_ID || id === ERROR_DETAILS_ID) return;
      const keeps = this.#choices.get(id)?.some(({ match }) => match === null || match(value)) ?? false;
      if (!keeps) this.#dropped.push(id);
    });
    for (const id of this.#dropped) row.drop(id);
    return true;
  }
}
