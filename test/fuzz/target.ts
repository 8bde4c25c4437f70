import type { Random } from './random.ts';

/** Something that takes input from outside: whatever that is, it answers or throws one of its own errors. */
export interface Target {
  readonly name: string;
  /** Makes an input and gives it in. Throws when the answer is wrong, or an error that is none of the documented ones. */
  run(random: Random): void | Promise<void>;
}

/** Calls `work`; errors with one of these codes (or of these classes) are answers too. */
export function expecting<T>(errors: readonly (string | (new (...args: never[]) => Error))[], work: () => T): T | null {
  try {
    return work();
  } catch (error: unknown) {
    if (isExpected(error, errors)) return null;
    throw error;
  }
}

export function isExpected(error: unknown, errors: readonly (string | (new (...args: never[]) => Error))[]): boolean {
  return errors.some((expected) =>
    typeof expected === 'string'
      ? error instanceof Error && 'code' in error && error.code === expected
      : error instanceof expected,
  );
}
