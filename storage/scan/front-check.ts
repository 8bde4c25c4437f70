import type { Labels } from '../../logql/labels.ts';
import type { BlockColumns } from '../../logql/source.ts';
import type { Pipeline } from '../../logql/stages/index.ts';

/** Looks that are always taken, and the share of them that must spare a block its opening for more to be taken. */
const FIRST_LOOKS = 16;
const WORTHWHILE_SHARE = 1 / 8;

/** Looks at the metadata of a block, and at nothing else of it, to learn whether any of its rows can matter. */
export class FrontCheck {
  readonly metadata: ReadonlySet<string>;
  readonly #pipeline: Pipeline;
  #looks = 0;
  #spared = 0;

  private constructor(pipeline: Pipeline, metadata: ReadonlySet<string>) {
    this.#pipeline = pipeline;
    this.metadata = metadata;
  }

  /** Null when no stage could tell anything. */
  static of(pipeline: Pipeline): FrontCheck | null {
    return pipeline.frontMetadata === null ? null : new FrontCheck(pipeline, pipeline.frontMetadata);
  }

  /** Whether another look is worth its cost: where stages let rows of most blocks through, it is not. */
  get isWorthwhile(): boolean {
    return this.#looks < FIRST_LOOKS || this.#spared >= this.#looks * WORTHWHILE_SHARE;
  }

  /** False: no row of the block matters. `columns` are at least those of `metadata`. */
  mayMatter(columns: BlockColumns, stream: Labels): boolean {
    this.#pipeline.open(columns, stream);
    const matters = this.#pipeline.mayPass();
    this.#looks++;
    if (!matters) this.#spared++;
    return matters;
  }
}
