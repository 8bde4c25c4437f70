import { compileRegex, timedTest } from '../regex/index.ts';
import { labelValue, type Matrix, withLabel } from './matrix.ts';

export interface LabelReplacement {
  readonly dst: string;
  readonly replacement: string;
  readonly src: string;
  readonly regex: string;
}

/**
 * `label_replace`: where the whole value of `src` (a missing label is "") matches, `dst` becomes the expanded
 * replacement, or goes when that is empty. Series may become equal; that is not an error.
 * Throws `RegexError` when the pattern is slow and the values are many.
 */
export function replaceLabels(matrix: Matrix, replacement: LabelReplacement): Matrix {
  const regex = compileRegex(replacement.regex, { anchored: true });
  const matches = timedTest(regex);
  const series = matrix.series.map((one) => {
    const value = labelValue(one.labels, replacement.src);
    if (!matches(value)) return one;
    const result = regex.replaceAll(value, replacement.replacement);
    return { labels: withLabel(one.labels, replacement.dst, result), values: one.values, present: one.present };
  });
  return { timesMs: matrix.timesMs, series };
}
