import type { LabelFormat } from '../syntax/ast.ts';
import { compileTemplate, type Template, TemplateError } from '../template/index.ts';
import type { Row, RowStage } from './row.ts';
import { StageError } from './stage-error.ts';
import { labelsOf, TEMPLATE_ERROR, TemplateRow } from './template-row.ts';

type Format =
  | { readonly kind: 'rename'; readonly to: number; readonly from: number }
  | { readonly kind: 'template'; readonly to: number; readonly template: Template };

/**
 * `| label_format a=b, c="{{.d}}"`, from left to right. All templates see the labels as they were before the first of
 * them: renames that stand before it, but no later ones and no result of a template.
 */
export class LabelFormatStage implements RowStage {
  readonly readLabels: ReadonlySet<string>;
  readonly readsAllLabels: boolean;
  readonly #formats: readonly Format[];
  readonly #data: TemplateRow;
  /** Whether a template runs after labels have changed since the first one. */
  readonly #needsSnapshot: boolean;

  constructor(stage: LabelFormat, row: Row) {
    const readLabels = new Set<string>();
    let readsAllLabels = false;
    this.#formats = stage.formats.map((item): Format => {
      const to = row.id(item.to);
      if (item.kind === 'rename') {
        readLabels.add(item.from);
        return { kind: 'rename', to, from: row.id(item.from) };
      }
      const template = compileLabelTemplate(item.to, item.template);
      for (const name of template.labels) readLabels.add(name);
      readsAllLabels ||= template.usesAllLabels;
      return { kind: 'template', to, template };
    });
    this.readLabels = readLabels;
    this.readsAllLabels = readsAllLabels;
    this.#data = new TemplateRow(row);
    this.#needsSnapshot = this.#formats.filter((format) => format.kind === 'template').length > 1;
  }

  run(row: Row): boolean {
    let hasSnapshot = false;
    for (const format of this.#formats) {
      if (format.kind === 'rename') {
        const value = row.get(format.from);
        if (value === undefined) continue;
        row.set(format.to, value);
        row.drop(format.from);
        continue;
      }
      if (this.#needsSnapshot && !hasSnapshot) {
        this.#data.freeze(labelsOf(row));
        hasSnapshot = true;
      }
      try {
        row.set(format.to, format.template.execute(this.#data));
      } catch (error: unknown) {
        if (!(error instanceof TemplateError)) throw error;
        row.fail(TEMPLATE_ERROR, error.message);
      }
    }
    return true;
  }
}

/** Throws `StageError` with Loki's text. */
export function compileLabelTemplate(label: string, source: string): Template {
  try {
    return compileTemplate(source, 'label');
  } catch (error: unknown) {
    if (!(error instanceof TemplateError)) throw error;
    throw new StageError(`invalid template for label '${label}': ${error.message}`, { cause: error });
  }
}
