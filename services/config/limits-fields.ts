import type { Field, Group } from './field.ts';
import type { Limits } from './limits.ts';
import { limitsOfReads } from './limits-of-reads.ts';
import { limitsOfWrites } from './limits-of-writes.ts';

/** `limits_config`: every key of `Limits`. */
export const limitsFields = { ...limitsOfWrites, ...limitsOfReads } as const satisfies Group &
  Record<keyof Limits, Field<unknown> | Group>;
