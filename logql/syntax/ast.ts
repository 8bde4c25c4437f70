/**
 * The tree of a LogQL query. Nodes are data: frozen in meaning, without behaviour, and safe to send to another
 * thread by structured clone. What they mean is decided in `plan/` and `stages/`; how they print, in `print.ts`.
 *
 * Units: every duration is in nanoseconds as a number (exact up to 104 days, and whole microseconds beyond), every
 * byte count in bytes.
 */

export type MatchOp = '=' | '!=' | '=~' | '!~';
export type LineFilterOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>';
export type CompareOp = '==' | '=' | '!=' | '>' | '>=' | '<' | '<=';
export type BinaryOp =
  | 'or'
  | 'and'
  | 'unless'
  | '=='
  | '!='
  | '<='
  | '<'
  | '>='
  | '>'
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '^';

export type RangeOp =
  | 'rate'
  | 'rate_counter'
  | 'count_over_time'
  | 'bytes_rate'
  | 'bytes_over_time'
  | 'avg_over_time'
  | 'sum_over_time'
  | 'min_over_time'
  | 'max_over_time'
  | 'stdvar_over_time'
  | 'stddev_over_time'
  | 'quantile_over_time'
  | 'first_over_time'
  | 'last_over_time'
  | 'absent_over_time';

export type VectorOp =
  | 'sum'
  | 'avg'
  | 'count'
  | 'max'
  | 'min'
  | 'stddev'
  | 'stdvar'
  | 'topk'
  | 'bottomk'
  | 'sort'
  | 'sort_desc'
  | 'approx_topk';

/** `name op "value"` of a selector, a drop or keep list, or a string label filter. */
export interface Matcher {
  readonly kind: 'matcher';
  readonly name: string;
  readonly op: MatchOp;
  readonly value: string;
}

export interface LineFilterOperand {
  /** `ip` for `ip("…")`, else the operand is a plain string. */
  readonly fn: 'ip' | null;
  readonly value: string;
}

/** One `|= "a" or "b"`; `operands` has at least one member and all of them share `op`. */
export interface LineFilter {
  readonly kind: 'line_filter';
  readonly op: LineFilterOp;
  readonly operands: readonly LineFilterOperand[];
}

/** `label="expression"`; the short form `label` has `expression === label`. */
export interface Extraction {
  readonly label: string;
  readonly expression: string;
}

export interface JsonParser {
  readonly kind: 'json';
  readonly extractions: readonly Extraction[];
}
export interface LogfmtParser {
  readonly kind: 'logfmt';
  readonly strict: boolean;
  readonly keepEmpty: boolean;
  readonly extractions: readonly Extraction[];
}
export interface RegexpParser {
  readonly kind: 'regexp';
  readonly pattern: string;
}
export interface PatternParser {
  readonly kind: 'pattern';
  readonly pattern: string;
}
export interface UnpackParser {
  readonly kind: 'unpack';
}
export interface Decolorize {
  readonly kind: 'decolorize';
}
export interface LineFormat {
  readonly kind: 'line_format';
  readonly template: string;
}
export interface LabelFormat {
  readonly kind: 'label_format';
  readonly formats: readonly LabelFormatItem[];
}
export type LabelFormatItem =
  | { readonly kind: 'rename'; readonly to: string; readonly from: string }
  | { readonly kind: 'template'; readonly to: string; readonly template: string };

export interface DropLabels {
  readonly kind: 'drop';
  readonly items: readonly (string | Matcher)[];
}
export interface KeepLabels {
  readonly kind: 'keep';
  readonly items: readonly (string | Matcher)[];
}

/** A `|` stage that filters by labels. */
export interface LabelFilterStage {
  readonly kind: 'label_filter';
  readonly filter: LabelFilter;
}
export type LabelFilter =
  | Matcher
  | { readonly kind: 'number_filter'; readonly name: string; readonly op: CompareOp; readonly value: number }
  | { readonly kind: 'duration_filter'; readonly name: string; readonly op: CompareOp; readonly valueNs: number }
  | { readonly kind: 'bytes_filter'; readonly name: string; readonly op: CompareOp; readonly valueBytes: number }
  | { readonly kind: 'ip_filter'; readonly name: string; readonly op: '=' | '!='; readonly pattern: string }
  | {
      readonly kind: 'and' | 'or';
      readonly left: LabelFilter;
      readonly right: LabelFilter;
    };

export type Stage =
  | LineFilter
  | JsonParser
  | LogfmtParser
  | RegexpParser
  | PatternParser
  | UnpackParser
  | Decolorize
  | LineFormat
  | LabelFormat
  | DropLabels
  | KeepLabels
  | LabelFilterStage;

/** `{app="web"} | json | level="error"`: lines. An empty `stages` is a bare selector. */
export interface LogSelectorExpr {
  readonly kind: 'log';
  readonly matchers: readonly Matcher[];
  readonly stages: readonly Stage[];
}

export interface Unwrap {
  readonly label: string;
  readonly conversion: 'bytes' | 'duration' | 'duration_seconds' | null;
  /** Label filters after the unwrap; they see the converted sample's labels and errors. */
  readonly postFilters: readonly LabelFilter[];
}

/** `{…} | … | unwrap x [5m] offset 1m`. */
export interface LogRange {
  readonly log: LogSelectorExpr;
  readonly unwrap: Unwrap | null;
  readonly rangeNs: number;
  readonly offsetNs: number;
}

export interface Grouping {
  readonly without: boolean;
  readonly labels: readonly string[];
}

export interface RangeAggregation {
  readonly kind: 'range_aggregation';
  readonly op: RangeOp;
  readonly parameter: number | null;
  readonly range: LogRange;
  readonly grouping: Grouping | null;
}

export interface VectorAggregation {
  readonly kind: 'vector_aggregation';
  readonly op: VectorOp;
  /** k of topk, bottomk and approx_topk; null otherwise. */
  readonly parameter: number | null;
  readonly expr: MetricExpr;
  readonly grouping: Grouping | null;
}

export interface VectorMatching {
  readonly card: 'one-to-one' | 'many-to-one' | 'one-to-many';
  /** True for `on(…)`, false for `ignoring(…)` and for no clause (then `labels` is empty). */
  readonly on: boolean;
  readonly labels: readonly string[];
  /** Labels named in `group_left(…)` or `group_right(…)`. */
  readonly include: readonly string[];
}

export interface BinaryExpr {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly bool: boolean;
  readonly matching: VectorMatching;
  readonly left: MetricExpr;
  readonly right: MetricExpr;
}

export interface LiteralExpr {
  readonly kind: 'literal';
  readonly value: number;
}
/** `vector(1)`. */
export interface VectorExpr {
  readonly kind: 'vector';
  readonly value: number;
}
export interface LabelReplaceExpr {
  readonly kind: 'label_replace';
  readonly expr: MetricExpr;
  readonly dst: string;
  readonly replacement: string;
  readonly src: string;
  readonly regex: string;
}
/** `variants(a, b) of (range)`: parsed, and refused by validation as Loki's default does. */
export interface VariantsExpr {
  readonly kind: 'variants';
  readonly variants: readonly MetricExpr[];
  readonly range: LogRange;
}

export type MetricExpr =
  | RangeAggregation
  | VectorAggregation
  | BinaryExpr
  | LiteralExpr
  | VectorExpr
  | LabelReplaceExpr
  | VariantsExpr;

export type Expr = LogSelectorExpr | MetricExpr;
