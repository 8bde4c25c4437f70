import type { Labels } from '../labels.ts';
import type { BlockColumns } from '../source.ts';
import type { Stage, Unwrap } from '../syntax/ast.ts';
import { BlockLines } from './block-lines.ts';
import { Groups } from './groups.ts';
import { LineFilterStage } from './line-filter.ts';
import { isSelective } from './line-test.ts';
import { planStages } from './plan-stages.ts';
import { Row, type RowStage } from './row.ts';
import type { GroupingMode, GroupLabels, GroupSource, Pipeline } from './types.ts';
import type { UnwrapStage } from './unwrap.ts';

export interface PipelineOptions {
  readonly stages: readonly Stage[];
  readonly grouping: GroupingMode;
  readonly unwrap?: Unwrap | null;
  /** Whether the length of the line after all stages counts (`bytes_over_time`, `bytes_rate`). Log queries: always. */
  readonly countsBytes?: boolean;
}

/** Compiles the stages of a query. Throws `StageError`, `RegexError` or `TemplateError` in Loki's words. */
export function compilePipeline(options: PipelineOptions): Pipeline {
  return new StagePipeline(options);
}

class StagePipeline implements Pipeline {
  readonly needsLines: boolean;
  readonly needsMetadata: ReadonlySet<string> | null;
  readonly preservesErrors: boolean;
  readonly frontMetadata: ReadonlySet<string> | null;
  group = -1;
  value = Number.NaN; // not 1: V8 would expect small whole numbers, and compile again what met another
  readonly #row = new Row();
  readonly #lines = new BlockLines();
  readonly #blockFilters: LineFilterStage[];
  readonly #stages: readonly RowStage[];
  /** Those of `#stages`, the first ones, that need no lines. */
  readonly #frontStages: readonly RowStage[];
  readonly #unwrap: UnwrapStage | null;
  readonly #groups: Groups;
  readonly #readsLines: boolean;
  #marks = new Uint8Array(0);
  /** The stream of the open block, until a row of it is looked at. */
  #unopenedStream: Labels | null = null;
  /** So few rows of the open block are left that the text of each is made alone. */
  #isSelective = false;

  constructor(options: PipelineOptions) {
    const plan = planStages(options, this.#row);
    this.#blockFilters = plan.blockFilters.map((filter) => new LineFilterStage(filter));
    this.#stages = plan.stages;
    this.#frontStages = plan.stages.slice(0, plan.leadingFilters);
    this.frontMetadata = plan.leadingFilters > 0 ? plan.leadingMetadata : null;
    this.#unwrap = plan.unwrap;
    this.#readsLines = plan.readsLines;
    this.needsLines = plan.readsLines || this.#blockFilters.length > 0;
    this.needsMetadata = plan.metadata;
    this.preservesErrors = plan.preservesErrors;
    this.#groups = new Groups(options.grouping, this.#row, plan.preservesErrors);
  }

  open(block: BlockColumns, stream: Labels): void {
    this.#lines.open(block);
    this.#isSelective = false;
    this.#unopenedStream = stream;
  }

  /** What only rows need that are left by the filters over the whole block. */
  #openRows(stream: Labels): void {
    this.#unopenedStream = null;
    this.#row.open(this.#lines.block, stream);
    this.#groups.openStream(stream);
  }

  filter(rows: Uint32Array, count: number): number {
    if (this.#blockFilters.length === 0) return count;
    if (this.#marks.length < this.#lines.block.rowCount) this.#marks = new Uint8Array(this.#lines.block.rowCount);
    for (const filter of this.#inOrder()) {
      if (count === 0) break;
      count = filter.filter(this.#lines, rows, count, this.#marks);
    }
    this.#isSelective = isSelective(this.#lines, count);
    return count;
  }

  mayPass(): boolean {
    if (this.#unopenedStream !== null) this.#openRows(this.#unopenedStream);
    const row = this.#row;
    const stages = this.#frontStages;
    for (const stage of stages) if (stage.mayPass?.(row) === false) return false;
    const { rowCount } = this.#lines.block;
    for (let r = 0; r < rowCount; r++) {
      row.begin(r, '', 0, 0);
      if (stages.every((stage) => stage.run(row))) return true;
    }
    return false;
  }

  /** The filters in the order in which they cost least; at first each of them once in front, to see what it drops. */
  #inOrder(): readonly LineFilterStage[] {
    const filters = this.#blockFilters;
    if (filters.length < 2) return filters;
    filters.sort((a, b) => a.rank - b.rank);
    const unknown = filters.findIndex((filter) => !filter.isKnown);
    if (unknown > 0) filters.unshift(...filters.splice(unknown, 1));
    return filters;
  }

  get hasFilters(): boolean {
    return this.#blockFilters.length > 0;
  }

  get rowsAreAlike(): boolean {
    return this.#stages.length === 0 && this.#unwrap === null && this.#lines.block.metadata.length === 0;
  }

  run(index: number): boolean {
    if (this.#unopenedStream !== null) this.#openRows(this.#unopenedStream);
    const row = this.#row;
    if (this.#readsLines && this.#isSelective) {
      const line = this.#lines.textOf(index);
      row.begin(index, line, 0, line.length);
    } else {
      row.beginInBlock(index, this.#lines);
    }
    for (const stage of this.#stages) if (!stage.run(row)) return false;
    if (this.#unwrap !== null && !this.#unwrap.run(row)) return false;
    this.value = this.#unwrap === null ? 1 : this.#unwrap.value;
    this.group = this.#groups.of(row);
    return true;
  }

  get groups(): readonly GroupLabels[] {
    return this.#groups.all();
  }

  get groupSource(): GroupSource {
    return this.#groups;
  }

  release(): void {
    this.#groups.release();
  }

  get lineBytes(): number {
    return this.#row.end - this.#row.start;
  }

  line(): string {
    return this.#row.line();
  }
}
