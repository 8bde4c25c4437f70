import type { Labels } from '../labels.ts';
import type { BlockColumns } from '../source.ts';
import type { ValueTable } from '../value-table.ts';

/**
 * A query's stages, compiled once a query and thread, and run over block after block. Usage:
 *
 *     pipeline.open(columns, streamLabels);
 *     count = pipeline.filter(rows, count);            // whole-block filters, in place
 *     for (i < count) if (pipeline.run(rows[i])) { pipeline.group, pipeline.value, pipeline.lineBytes … }
 *
 * What `run` leaves in the fields is valid until the next `run` or `open`.
 */
export interface Pipeline {
  /** Whether lines are looked at; when false, blocks may be opened without them (`bytes: null`). */
  readonly needsLines: boolean;
  /** Names of the metadata columns that are looked at; null for all. */
  readonly needsMetadata: ReadonlySet<string> | null;
  /**
   * The query asks for `__error__` by name: rows with errors are samples like others (their groups have `error` '')
   * instead of the query's end.
   */
  readonly preservesErrors: boolean;
  open(block: BlockColumns, stream: Labels): void;
  /**
   * Narrows the selection (ascending row numbers, `count` of them) by the filters that see the stored line, before
   * any stage that could change it. Returns the new count.
   */
  filter(rows: Uint32Array, count: number): number;
  /**
   * Metadata columns that say which rows the first stages let through; null when no stage that looks at them stands in
   * front of those that look at lines.
   */
  readonly frontMetadata: ReadonlySet<string> | null;
  /** False: no row of the open block gets through the first stages. Needs only the columns of `frontMetadata`. */
  mayPass(): boolean;
  /** Whether `filter` may drop rows at all. */
  readonly hasFilters: boolean;
  /** In the open block, what `run` does with one row it does with all: they pass as they are, in one group. */
  readonly rowsAreAlike: boolean;
  /** Runs the remaining stages on one row. False: dropped. */
  run(row: number): boolean;
  /** Index into `groups` of the row's labels. */
  readonly group: number;
  /** Every distinct label set met so far, in order of first meeting; grows. */
  readonly groups: readonly GroupLabels[];
  /** The same without making label sets of those that nobody asks for. */
  readonly groupSource: GroupSource;
  /** Gives the memory of groups by value to others: neither the pipeline nor its groups can be used any more. */
  release(): void;
  /** The sample of a metric pipeline: the unwrapped value; 1 or the line's bytes need no pipeline. */
  readonly value: number;
  /** Length in bytes of the line after all stages. */
  readonly lineBytes: number;
  /** The line after all stages as text; bytes that are not UTF-8 become U+FFFD. */
  line(): string;
}

/**
 * Labels that stand for a row in the answer. For a metric query with a grouping only the labels that it keeps, all in
 * `merged`, and the categories empty; but a row with an error keeps all of its labels.
 */
export interface GroupLabels {
  /** All labels, `__error__` and `__error_details__` included. */
  readonly merged: Labels;
  readonly stream: Labels;
  readonly structuredMetadata: Labels;
  /** Parsed and formatted labels, and errors. */
  readonly parsed: Labels;
  /** The `__error__` of the row, '' without. A metric query with one fails (`PipelineError`). */
  readonly error: string;
}

/** Groups by number; an array of them is one. */
export interface GroupSource {
  readonly length: number;
  at(group: number): GroupLabels | undefined;
  /** Groups of a single label, whose values may be very many. */
  readonly byValue?:
    | {
        readonly name: string;
        readonly values: ValueTable;
        /** The group of a value by its number in `values`. */
        groupAt(number: number): number;
      }
    | undefined;
}

/** How rows are told apart in the answer. */
export type GroupingMode =
  /** Log queries: by all labels and by their categories. */
  | { readonly kind: 'categories' }
  /** Metric queries without pushed-down grouping: by all labels. */
  | { readonly kind: 'all' }
  | { readonly kind: 'by'; readonly labels: readonly string[] }
  | { readonly kind: 'without'; readonly labels: readonly string[] };
