import assert from 'node:assert/strict';
import type { Matrix } from '../../logql/aggregate/index.ts';
import { type Labels, labelsKey } from '../../logql/labels.ts';
import type { VectorSample } from '../reference/vectors.ts';
import type { Answer } from './engines.ts';

export type EntryText = string;

/** An entry as one text: entries of an answer compare as lists of these. */
export function entryText(
  timestampNs: bigint,
  line: string,
  categories: { readonly stream: Labels; readonly structuredMetadata: Labels; readonly parsed: Labels },
): EntryText {
  const { stream, structuredMetadata, parsed } = categories;
  return JSON.stringify([String(timestampNs), line, stream, structuredMetadata, parsed]);
}

/** What both sides come to: an error's code, or entries, or the samples of each step. */
export type Outcome =
  | { readonly kind: 'error'; readonly code: string }
  | { readonly kind: 'entries'; readonly entries: readonly EntryText[] }
  | { readonly kind: 'steps'; readonly steps: readonly (readonly VectorSample[] | number)[] };

export function outcomeOf(answer: Answer): Outcome {
  switch (answer.kind) {
    case 'streams': {
      const { groups, groupIndexes, timestampsNs, lines } = answer.result;
      return {
        kind: 'entries',
        entries: lines.map((line, i) => entryText(timestampsNs[i]!, line, groups[groupIndexes[i]!]!)),
      };
    }
    case 'scalar':
      return { kind: 'steps', steps: [answer.value] };
    case 'vector':
    case 'matrix':
      return { kind: 'steps', steps: stepsOf(answer.matrix) };
    default:
      return answer satisfies never;
  }
}

function stepsOf({ timesMs, series }: Matrix): (readonly VectorSample[])[] {
  return Array.from(timesMs, (_, step) =>
    series.flatMap(({ labels, values, present }) => (present[step] === 1 ? [{ labels, value: values[step]! }] : [])),
  );
}

export interface CompareOptions {
  /** Which of equal values are there is left open: per step only the values are compared. */
  readonly valuesOnly: boolean;
}

export function assertSameOutcome(actual: Outcome, expected: Outcome, options: CompareOptions): void {
  if (actual.kind !== 'steps' || expected.kind !== 'steps') {
    assert.deepEqual(actual, expected);
    return;
  }
  assert.equal(actual.steps.length, expected.steps.length, 'number of steps');
  for (let step = 0; step < expected.steps.length; step++) {
    const left = listed(actual.steps[step]!, options);
    const right = listed(expected.steps[step]!, options);
    const same = left.length === right.length && left.every((sample, i) => isSame(sample, right[i]!));
    if (!same) assert.deepEqual({ step, samples: left }, { step, samples: right });
  }
}

type Listed = readonly [labels: string, value: number];

/** A step's samples in an order that does not depend on how they came about. */
function listed(vector: readonly VectorSample[] | number, { valuesOnly }: CompareOptions): Listed[] {
  const samples = typeof vector === 'number' ? [{ labels: [], value: vector }] : vector;
  const list = samples.map(({ labels, value }): Listed => [valuesOnly ? '' : labelsKey(labels), value]);
  const number = (value: number) => (Number.isNaN(value) ? -Infinity : value);
  return list.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : number(x) === number(y) ? 0 : number(x) - number(y)));
}

/** Sums are added up in another order: the last digits may differ, more so where large numbers cancel out. */
function isSame([labels, a]: Listed, [otherLabels, b]: Listed): boolean {
  if (labels !== otherLabels) return false;
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return true;
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));
}
