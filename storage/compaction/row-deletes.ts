import type { Labels } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';
import { compilePipeline, type Pipeline } from '../../logql/stages/index.ts';
import type { Stage } from '../../logql/syntax/ast.ts';

/** A delete request as far as rows of streams that it selects are concerned. */
export interface DeleteRule {
  /** Tells requests apart, across tenants too. */
  readonly id: string;
  readonly startNs: bigint;
  /** Inclusive. */
  readonly endNs: bigint;
  /** None: every row in the time. Else those that come out of them. */
  readonly stages: readonly Stage[];
}

/** A rule with its stages compiled, which is done once a thread. */
export interface CompiledDelete extends DeleteRule {
  /** Made anew when it has met very many label sets, which it remembers. */
  pipeline: Pipeline | null;
}

const MAX_LABEL_SETS = 50_000;

/** Throws StageError. */
export function compileDeletes(rules: readonly DeleteRule[]): CompiledDelete[] {
  return rules.map((rule) => ({ ...rule, pipeline: compile(rule) }));
}

function compile({ stages }: DeleteRule): Pipeline | null {
  return stages.length === 0 ? null : compilePipeline({ stages, grouping: { kind: 'categories' } });
}

/**
 * A mask with 1 for every row of the block that a request deletes, on top of `mask`; `mask` itself when there is none.
 * Blocks of rules with stages must have been opened with lines and all metadata.
 */
export function deletedRows(
  columns: BlockColumns,
  labels: Labels,
  deletes: readonly CompiledDelete[],
  mask: Uint8Array | null,
): Uint8Array | null {
  const { baseNs, offsetsNs, rowCount } = columns;
  let out: Uint8Array | null = null;
  for (const rule of deletes) {
    const { startNs, endNs } = rule;
    const first = lowerBound(offsetsNs, rowCount, startNs - baseNs);
    const end = lowerBound(offsetsNs, rowCount, endNs - baseNs + 1n);
    if (first >= end) continue;
    out ??= mask === null ? new Uint8Array(rowCount) : Uint8Array.from(mask);
    if (rule.pipeline === null) {
      out.fill(1, first, end);
      continue;
    }
    if (rule.pipeline.groups.length > MAX_LABEL_SETS) rule.pipeline = compile(rule)!;
    const { pipeline } = rule;
    pipeline.open(columns, labels);
    const rows = Uint32Array.from({ length: end - first }, (_, i) => first + i);
    const count = pipeline.filter(rows, rows.length);
    for (let i = 0; i < count; i++) if (pipeline.run(rows[i]!)) out[rows[i]!] = 1;
  }
  return out ?? mask;
}

function lowerBound(offsets: Float64Array, count: number, target: bigint): number {
  if (target <= BigInt(Number.MIN_SAFE_INTEGER)) return 0;
  if (target >= BigInt(Number.MAX_SAFE_INTEGER)) return count;
  const wanted = Number(target);
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offsets[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
