import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '..', '..');

/** Paths of what git tracks or would track, below the folders that hold source, with `/` between parts. */
export function sourceFiles(pattern: RegExp): string[] {
  const out = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const deleted = new Set(execFileSync('git', ['ls-files', '--deleted'], { cwd: root, encoding: 'utf8' }).split('\n'));
  return out
    .split('\n')
    .filter((path) => pattern.test(path) && !deleted.has(path))
    .sort();
}

export function readSource(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** What a file imports: the text between the quotes of `import … from`, `export … from` and `import()`. */
export function importsOf(text: string): string[] {
  const found: string[] = [];
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*'([^']+)'|(?:^|\n)import\s*'([^']+)'|\bimport\(\s*'([^']+)'/g;
  for (const match of text.matchAll(pattern)) found.push((match[1] ?? match[2] ?? match[3])!);
  return found;
}

/** What of it is loaded together with the file: neither types nor `import()`. */
export function loadedImportsOf(text: string): string[] {
  return importsOf(text.replace(/\b(?:import|export) type\b[^;]*;|\bimport\([^)]*\)/g, ''));
}
