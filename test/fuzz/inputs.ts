import { bytesTargets } from './bytes-targets.ts';
import { queryTargets } from './query-targets.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';

export function allTargets(): Target[] {
  return [...queryTargets(), ...bytesTargets()];
}

export class FuzzFailure extends Error {}

export interface FuzzFigures {
  readonly inputs: number;
  readonly slowestMs: number;
  readonly slowestInput: number;
}

/** Gives inputs `from … from + count - 1` of a seed to a target. `begin` hears of each one before. */
export async function fuzz(
  target: Target,
  seed: number,
  from: number,
  count: number,
  begin: (input: number) => void = () => {},
): Promise<FuzzFigures> {
  let slowestMs = 0;
  let slowestInput = from;
  for (let input = from; input < from + count; input++) {
    begin(input);
    const began = performance.now();
    try {
      const pending = target.run(new Random(seed, input));
      if (pending !== undefined) await pending;
    } catch (cause: unknown) {
      const again = `npm run fuzz -- --target "${target.name}" --seed ${seed} --at ${input}`;
      throw new FuzzFailure(`${target.name}: ${cause instanceof Error ? cause.message : cause}\n  again: ${again}`, {
        cause,
      });
    }
    const took = performance.now() - began;
    if (took > slowestMs) {
      slowestMs = took;
      slowestInput = input;
    }
  }
  return { inputs: count, slowestMs, slowestInput };
}
