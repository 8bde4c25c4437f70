import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The directory of a tenant, or a file in it, cannot be used. The message is Loki's. */
export class RuleDirectoryError extends Error {
  readonly code = 'rule_directory';
}

/**
 * Looks for rule files of a tenant, `<directory>/<tenant>/<namespace>`. Rules in files are not evaluated, so that files
 * are an error rather than an answer that leaves them out. Throws RuleDirectoryError also where there is no directory,
 * as Loki does.
 */
export async function assertNoRuleFiles(directory: string, tenant: string, namespace?: string): Promise<void> {
  const root = join(directory, tenant);
  const files = await filesIn(root);
  if (namespace === undefined) {
    if (files.length > 0) throw new RuleDirectoryError(`rules in files are not supported: ${root} has ${files.length}`);
    return;
  }
  const path = join(root, namespace);
  if (files.includes(namespace)) throw new RuleDirectoryError(`rules in files are not supported: ${path}`);
  throw new RuleDirectoryError(`error parsing ${path}: open ${path}: no such file or directory`);
}

async function filesIn(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch (error: unknown) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === undefined ? undefined : GO_REASONS[code];
    if (reason === undefined) throw error;
    throw new RuleDirectoryError(`unable to read rule dir ${root}: open ${root}: ${reason}`, { cause: error });
  }
}

/** How Go words these. */
const GO_REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  ENOTDIR: 'not a directory',
  EACCES: 'permission denied',
};
