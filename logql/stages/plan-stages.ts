import type { LabelFilter, LineFilter, Stage } from '../syntax/ast.ts';
import { DecolorizeStage } from './decolorize.ts';
import { DropStage, KeepStage } from './drop-keep.ts';
import { compileLabelFilter } from './label-filter.ts';
import { LabelFormatStage } from './label-format.ts';
import { LineFilterStage } from './line-filter.ts';
import { LineFormatStage } from './line-format.ts';
import { NeededLabels } from './needed-labels.ts';
import { JsonStage } from './parse-json.ts';
import { JsonExpressionStage } from './parse-json-expressions.ts';
import { LogfmtExpressionStage, LogfmtStage } from './parse-logfmt.ts';
import { PatternStage } from './parse-pattern.ts';
import { RegexpStage } from './parse-regexp.ts';
import type { PipelineOptions } from './pipeline.ts';
import { DUPLICATE_SUFFIX, ERROR_LABEL, type Row, type RowStage } from './row.ts';
import { UnpackStage } from './unpack.ts';
import { UnwrapStage } from './unwrap.ts';

/** What a list of stages comes to. */
export interface StagePlan {
  /** Run over whole blocks, before everything else. */
  readonly blockFilters: readonly LineFilter[];
  readonly stages: readonly RowStage[];
  /** What `stages` were compiled from. */
  readonly rowStages: readonly Stage[];
  readonly unwrap: UnwrapStage | null;
  /** Whether `stages` or the result look at lines. */
  readonly readsLines: boolean;
  /** How many of `stages`, from the first on, are label filters: they see labels as they are stored, and no lines. */
  readonly leadingFilters: number;
  /** Metadata columns that those look at. */
  readonly leadingMetadata: ReadonlySet<string>;
  /** Labels that parsers extract; null for all. */
  readonly neededLabels: ReadonlySet<string> | null;
  /** Metadata columns that are looked at; null for all. */
  readonly metadata: ReadonlySet<string> | null;
  /** Errors are labels like others instead of the query's end, because the query asks for them by name. */
  readonly preservesErrors: boolean;
}

/**
 * Decides what runs, on what, and which labels it must find. Log queries need all labels. A metric query that groups
 * `by` some needs these and those that its stages name; when that is none, parsers do not run at all, so that their
 * errors do not appear either.
 */
export function planStages(options: PipelineOptions, row: Row): StagePlan {
  const { grouping, unwrap = null } = options;
  const isMetric = grouping.kind !== 'categories';
  const countsLines = !isMetric || options.countsBytes === true;
  const used = countsLines ? options.stages : withoutIdleLineFormats(options.stages);
  const { blockFilters, rest } = hoistLineFilters(used);

  const labelNames = new Set<string>();
  let formatsNeedAll = false;
  const compiled: [stage: Stage, run: RowStage | null][] = rest.map((stage) => {
    if (stage.kind === 'line_format' || stage.kind === 'label_format') {
      const format = stage.kind === 'line_format' ? new LineFormatStage(stage, row) : new LabelFormatStage(stage, row);
      for (const name of format.readLabels) labelNames.add(name);
      formatsNeedAll ||= format.readsAllLabels;
      return [stage, format];
    }
    if (stage.kind === 'label_filter') for (const name of filterNames(stage.filter)) labelNames.add(name);
    return [stage, null];
  });
  if (unwrap !== null) {
    labelNames.add(unwrap.label);
    for (const filter of unwrap.postFilters) for (const name of filterNames(filter)) labelNames.add(name);
  }
  const selects = grouping.kind === 'by';
  if (selects) for (const name of grouping.labels) labelNames.add(name);
  const needed = selects && !formatsNeedAll ? NeededLabels.of(labelNames) : null;
  const skipsParsers = needed !== null && needed.names.size === 0;

  const stages: RowStage[] = [];
  const rowStages: Stage[] = [];
  let readsLines = countsLines && !isMetric;
  let changesLines = false;
  for (const [stage, ready] of compiled) {
    if (skipsParsers && isParser(stage)) continue;
    const compiledStage = ready ?? compileStage(stage, row, needed);
    stages.push(compiledStage);
    rowStages.push(stage);
    const filter = stage.kind === 'label_filter' ? stage.filter : null;
    if (filter !== null && 'name' in filter) row.expect(row.id(filter.name), compiledStage);
    readsLines ||= looksAtLine(stage);
    changesLines ||= changesLine(stage);
  }
  const leading = leadingLabelFilters(rowStages);
  return {
    leadingFilters: leading.length,
    leadingMetadata: new Set(leading.flatMap((stage) => columnNames(filterNames(stage.filter)))),
    blockFilters,
    stages,
    rowStages,
    unwrap: unwrap === null ? null : new UnwrapStage(unwrap, row),
    readsLines: readsLines || changesLines,
    neededLabels: needed?.names ?? null,
    metadata: needed === null ? null : metadataNames(needed, rest),
    preservesErrors: selects && labelNames.has(ERROR_LABEL),
  };
}

function compileStage(
  stage: Exclude<Stage, { kind: 'line_format' | 'label_format' }> | Stage,
  row: Row,
  needed: NeededLabels | null,
): RowStage {
  switch (stage.kind) {
    case 'line_filter':
      return new LineFilterStage(stage);
    case 'json':
      return stage.extractions.length > 0 ? new JsonExpressionStage(stage, row) : new JsonStage(needed);
    case 'logfmt':
      return stage.extractions.length > 0
        ? new LogfmtExpressionStage(stage, row, needed)
        : new LogfmtStage(stage, needed);
    case 'regexp':
      return new RegexpStage(stage, row, needed);
    case 'pattern':
      return new PatternStage(stage, row, needed);
    case 'unpack':
      return new UnpackStage(needed);
    case 'decolorize':
      return new DecolorizeStage();
    case 'line_format':
      return new LineFormatStage(stage, row);
    case 'label_format':
      return new LabelFormatStage(stage, row);
    case 'drop':
      return new DropStage(stage, row);
    case 'keep':
      return new KeepStage(stage, row);
    case 'label_filter':
      return compileLabelFilter(stage.filter, row);
    default:
      return stage satisfies never;
  }
}

/**
 * A line filter that sees the stored line can run first, whatever stands before it: the rows that it drops are
 * dropped in any case. Loki moves it before a `decolorize`, too.
 */
function hoistLineFilters(stages: readonly Stage[]): { blockFilters: LineFilter[]; rest: Stage[] } {
  const blockFilters: LineFilter[] = [];
  const rest: Stage[] = [];
  /** Where filters go that see the line as the last of these stages left it; -1 for the stored line. */
  let place = -1;
  for (const stage of stages) {
    if (stage.kind !== 'line_filter') {
      rest.push(stage);
      if (stage.kind === 'line_format' || stage.kind === 'unpack') place = rest.length;
    } else if (place < 0) {
      blockFilters.push(stage);
    } else {
      rest.splice(place++, 0, stage);
    }
  }
  return { blockFilters, rest };
}

/** In a metric query a formatted line that nobody reads is not made, and cannot fail. */
export function withoutIdleLineFormats(stages: readonly Stage[]): readonly Stage[] {
  return stages.filter(
    (stage, i) =>
      stage.kind !== 'line_format' || stages.slice(i).some((later) => isParser(later) || later.kind === 'line_filter'),
  );
}

function isParser(stage: Stage): boolean {
  switch (stage.kind) {
    case 'json':
    case 'logfmt':
    case 'regexp':
    case 'pattern':
    case 'unpack':
      return true;
    default:
      return false;
  }
}

function changesLine(stage: Stage): boolean {
  return stage.kind === 'line_format' || stage.kind === 'unpack' || stage.kind === 'decolorize';
}

function looksAtLine(stage: Stage): boolean {
  return isParser(stage) || changesLine(stage) || stage.kind === 'line_filter' || stage.kind === 'label_format';
}

function filterNames(filter: LabelFilter): string[] {
  switch (filter.kind) {
    case 'and':
    case 'or':
      return [...filterNames(filter.left), ...filterNames(filter.right)];
    case 'matcher':
    case 'number_filter':
    case 'duration_filter':
    case 'bytes_filter':
    case 'ip_filter':
      return [filter.name];
    default:
      return filter satisfies never;
  }
}

function leadingLabelFilters(stages: readonly Stage[]): Extract<Stage, { kind: 'label_filter' }>[] {
  const filters: Extract<Stage, { kind: 'label_filter' }>[] = [];
  for (const stage of stages) {
    if (stage.kind !== 'label_filter') break;
    filters.push(stage);
  }
  return filters;
}

/** Columns under whose names, or with the suffix of a name that the stream has too, these labels are seen. */
function columnNames(labels: readonly string[]): string[] {
  return labels.flatMap((name) =>
    name.endsWith(DUPLICATE_SUFFIX) ? [name, name.slice(0, -DUPLICATE_SUFFIX.length)] : [name],
  );
}

/** Names that a stage may ask metadata for. A label that a parser finds may have been renamed because of metadata. */
function metadataNames(needed: NeededLabels, stages: readonly Stage[]): ReadonlySet<string> | null {
  const names = new Set(needed.names);
  for (const stage of stages) {
    if (stage.kind === 'keep') return null;
    if (stage.kind === 'label_format') {
      for (const item of stage.formats) {
        names.add(item.to);
        if (item.kind === 'rename') names.add(item.from);
      }
    }
    if (stage.kind === 'drop') for (const item of stage.items) names.add(typeof item === 'string' ? item : item.name);
    if (stage.kind === 'json' || stage.kind === 'logfmt') {
      for (const extraction of stage.extractions) names.add(extraction.label);
    }
  }
  return names;
}
