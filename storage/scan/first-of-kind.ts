import type { LogPlan, RangeScan } from '../../logql/plan/index.ts';
import type { Stage } from '../../logql/syntax/ast.ts';
import type { ScanUnit } from './units.ts';

/** Kinds that a thread remembers; people who ask more kinds of queries wait for V8 now and then. */
const MAX_KINDS = 1000;
/** A larger unit takes longer than what it is to spare. */
const MAX_BYTES = 4 << 20;

/**
 * Says when a thread scans for a kind of query for the first time. V8 compiles loops for the very closures and objects that
 * it saw there; when the next query of the kind brings its own, it throws that code away and compiles for any of them. So
 * the first unit of a kind is to be scanned twice, by a scan that counts for nothing before the one that does: the second
 * query is then as fast as the third was, 65 instead of 95 ms where JSON is read.
 */
export class FirstOfKind {
  readonly #known = new Set<string>();

  ofMetric({ stages, op, grouping, unwrap }: RangeScan, unit: ScanUnit): boolean {
    return this.#isFirst(`${op} ${grouping.kind} ${unwrap?.conversion} ${kindsOf(stages)}`, unit);
  }

  ofLog({ stages, direction }: LogPlan, unit: ScanUnit): boolean {
    return this.#isFirst(`${direction} ${kindsOf(stages)}`, unit);
  }

  #isFirst(kind: string, unit: ScanUnit): boolean {
    if (unit.lineBytes > MAX_BYTES || this.#known.size >= MAX_KINDS || this.#known.has(kind)) return false;
    this.#known.add(kind);
    return true;
  }
}

function kindsOf(stages: readonly Stage[]): string {
  const kinds = stages.map((stage) => {
    if (stage.kind === 'line_filter') return `${stage.kind} ${stage.op}`;
    return stage.kind === 'label_filter' ? `${stage.kind} ${stage.filter.kind}` : stage.kind;
  });
  return kinds.join();
}
