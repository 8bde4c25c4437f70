import type { LineFormat } from '../syntax/ast.ts';
import { compileTemplate, type Template, TemplateError } from '../template/index.ts';
import type { Row, RowStage } from './row.ts';
import { StageError } from './stage-error.ts';
import { TEMPLATE_ERROR, TemplateRow } from './template-row.ts';

/** `| line_format "{{.msg}}"`: the template's text is the line from here on; when it fails, the line stays. */
export class LineFormatStage implements RowStage {
  readonly readLabels: ReadonlySet<string>;
  readonly readsAllLabels: boolean;
  readonly #template: Template;
  readonly #data: TemplateRow;

  constructor(stage: LineFormat, row: Row) {
    this.#template = compileLineTemplate(stage.template);
    this.readLabels = this.#template.labels;
    this.readsAllLabels = this.#template.usesAllLabels;
    this.#data = new TemplateRow(row);
  }

  run(row: Row): boolean {
    try {
      row.setLine(this.#template.execute(this.#data));
    } catch (error: unknown) {
      if (!(error instanceof TemplateError)) throw error;
      row.fail(TEMPLATE_ERROR, error.message);
    }
    return true;
  }
}

/** Throws `StageError` with Loki's text. */
export function compileLineTemplate(source: string): Template {
  try {
    return compileTemplate(source, 'line');
  } catch (error: unknown) {
    if (!(error instanceof TemplateError)) throw error;
    throw new StageError(`invalid line template: ${error.message}`, { cause: error });
  }
}
