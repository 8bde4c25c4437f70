import type { PlanParams } from '../../plan/index.ts';
import type { BlockColumns } from '../../source.ts';
import { parseLabelsString, parseQuery } from '../../syntax/index.ts';
import { formatSampleValue } from '../../units/float.ts';
import { parsePrometheusDuration } from '../../units/prometheus-duration.ts';
import { evaluateInMemory, type MemoryBlock } from '../evaluate-in-memory.ts';
import type { MetricResult } from '../metric-result.ts';

/*
 * Evaluation as text, for testdata:
 *
 *     load 10s                                  one sample each 10 s from time 0; `_`: none
 *       {app="a"} 1 2 _ 4                       a stream whose lines are `v=1`, `v=2`, …
 *
 *     eval instant at 30s                       or: eval range from 0s to 1m step 10s
 *       sum(count_over_time({app="a"}[1m]))     optionally `split 1h` at the end of the line above
 *     = {} 3                                    expected series in order; a range query's points with `_` for none
 *
 *     …
 *     ! found duplicate series                  or the beginning of an error's text
 *
 * `load` forgets what was loaded before. Lines that start with # are comments.
 */

/** Time 0 of a script: 2026-11-20 10:00:00 UTC, on a whole hour. */
const ORIGIN_NS = 1_795_168_800_000_000_000n;

export interface EvalCase {
  /** Number of the `eval` line, from 1. */
  readonly line: number;
  readonly query: string;
  readonly params: PlanParams;
  readonly blocks: readonly MemoryBlock[];
  readonly expected: readonly string[];
}

export function parseEvalScript(text: string): EvalCase[] {
  const cases: EvalCase[] = [];
  let blocks: MemoryBlock[] = [];
  let stepNs = 0;
  let open: { -readonly [K in keyof EvalCase]: EvalCase[K] } | null = null;
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return;
    const fail = (why: string) => new SyntaxError(`line ${index + 1}: ${why}: ${line}`);
    if (line.startsWith('load ')) {
      stepNs = parsePrometheusDuration(line.slice(5));
      blocks = [];
      open = null;
    } else if (line.startsWith('eval ')) {
      open = { line: index + 1, query: '', params: parseParams(line, fail), blocks, expected: [] };
      cases.push(open);
    } else if (line.startsWith('= ') || line.startsWith('! ')) {
      if (open === null) throw fail('expectation without eval');
      open.expected = [...open.expected, line];
    } else if (open !== null) {
      open.query += `${open.query && ' '}${line}`;
    } else {
      blocks.push(...parseSeries(line, stepNs, fail));
    }
  });
  return cases;
}

/** What a case answers, in the form in which scripts expect it. */
export function runEvalCase({ query, params, blocks }: EvalCase, partitions: number): string[] {
  try {
    const result = evaluateInMemory(parseQuery(query), params, blocks, partitions);
    if (result.kind === 'streams') throw new TypeError('scripts do not know log queries');
    return printResult(result);
  } catch (error: unknown) {
    if (error instanceof Error && 'code' in error) return [`! ${error.message.trimEnd().split('\n')[0]}`];
    throw error;
  }
}

function printResult(result: MetricResult): string[] {
  if (result.kind === 'scalar') return [`= scalar ${formatSampleValue(result.value)}`];
  return result.matrix.series.map(({ labels, values, present }) => {
    const points = Array.from(present, (there, i) => (there === 1 ? formatSampleValue(values[i]!) : '_'));
    return `= {${labels.map(([name, value]) => `${name}="${value}"`).join(', ')}} ${points.join(' ')}`;
  });
}

function parseParams(line: string, fail: (why: string) => Error): PlanParams {
  const form =
    /^eval (?:instant at (?<at>\S+)|range from (?<from>\S+) to (?<to>\S+) step (?<step>\S+))(?: split (?<split>\S+))?$/;
  const found = form.exec(line)?.groups;
  if (found === undefined) throw fail('not understood');
  const ns = (text: string | undefined) => BigInt(parsePrometheusDuration(text ?? '0s'));
  const instant = found['at'] !== undefined;
  return {
    startNs: ORIGIN_NS + ns(instant ? found['at'] : found['from']),
    endNs: ORIGIN_NS + ns(instant ? found['at'] : found['to']),
    stepNs: ns(found['step']),
    intervalNs: 0n,
    limit: 100,
    direction: 'backward',
    instant,
    instantSplitNs: ns(found['split']),
  };
}

/** A stream's samples, cut into two blocks. */
function parseSeries(line: string, stepNs: number, fail: (why: string) => Error): MemoryBlock[] {
  const end = line.indexOf('}') + 1;
  if (end === 0) throw fail('not understood');
  const stream = parseLabelsString(line.slice(0, end));
  const samples = line
    .slice(end)
    .trim()
    .split(/\s+/)
    .map((value, i) => ({ value, at: i * stepNs }))
    .filter(({ value }) => value !== '_');
  const middle = Math.ceil(samples.length / 2);
  return [samples.slice(0, middle), samples.slice(middle)]
    .filter((part) => part.length > 0)
    .map((part) => ({ stream, columns: columnsOf(part) }));
}

function columnsOf(samples: readonly { value: string; at: number }[]): BlockColumns {
  const lines = samples.map(({ value }) => Buffer.from(`v=${value}`));
  const lineStarts = new Uint32Array(lines.length + 1);
  lines.forEach((line, i) => {
    lineStarts[i + 1] = lineStarts[i]! + line.length;
  });
  return {
    rowCount: samples.length,
    baseNs: ORIGIN_NS + BigInt(samples[0]!.at),
    offsetsNs: Float64Array.from(samples, ({ at }) => at - samples[0]!.at),
    lineStarts,
    bytes: Buffer.concat(lines),
    ascii: true,
    metadata: [],
  };
}
