import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSource, root } from './source-files.ts';

const readme = readSource('README.md');
const walk = [...readme.matchAll(/^\| [^|]+ \| (`[^|]+) \| (`[^|]+) \| ([^|]*) \|$/gm)];
const names = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);

test('the walk through the tree names folders and files that exist', () => {
  assert.ok(walk.length >= 10);
  for (const [, folders, files] of walk) {
    names(folders!).forEach((folder, index) => {
      const file = names(files!)[index]!;
      assert.ok(existsSync(join(root, folder, file)), `${folder}/${file}`);
    });
  }
});

test('links of the papers lead to files', () => {
  for (const paper of [
    'README.md',
    'CONTRIBUTING.md',
    ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
  ]) {
    if (!paper.endsWith('.md')) continue;
    for (const [, target] of readSource(paper).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(root, paper, '..', target!)), `${paper}: ${target}`);
    }
  }
});

test('every script of package.json is explained in CONTRIBUTING.md', () => {
  const { scripts } = JSON.parse(readSource('package.json')) as { scripts: Record<string, string> };
  const text = readSource('CONTRIBUTING.md');
  const hooks = new Set(['prepack']);
  for (const name of Object.keys(scripts)) {
    const command = name === 'start' || name === 'test' ? `npm ${name}` : `npm run ${name}`;
    assert.ok(hooks.has(name) || text.includes(`\`${command}`), name);
  }
});

test('every dependency is explained, and every explained one is there', () => {
  const { dependencies } = JSON.parse(readSource('package.json')) as { dependencies: Record<string, string> };
  const rows = [...readSource('docs/dependencies.md').matchAll(/^\| (`[^|]+) \|/gm)].flatMap((row) => names(row[1]!));
  assert.deepEqual(rows.sort(), Object.keys(dependencies).sort());
  for (const version of Object.values(dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
});
