import assert from 'node:assert/strict';
import { basename } from 'node:path/posix';
import { test } from 'node:test';
import { readSource, sourceFiles } from './source-files.ts';

const sources = sourceFiles(/^(services|storage|logql|test|scripts|proto|ui)\/.*\.(ts|mjs)$/).filter(
  (path) => !path.includes('/generated/'),
);

test('a file can be read in one sitting: at most 600 lines', () => {
  const long = sources
    .map((path) => [path, readSource(path).split('\n').length - 1] as const)
    .filter(([, lines]) => lines > 600);
  assert.deepEqual(long, []);
});

test('files are named in kebab-case and after an idea', () => {
  const vague = /^(utils?|helpers?|common|shared|misc)\b/;
  const bad = sources.filter((path) => {
    const name = basename(path).replace(/(\.servers|\.e2e)?(\.property)?(\.test|\.bench|\.d)?\.(ts|mjs)$/, '');
    return !/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name) || path.split('/').some((part) => vague.test(part));
  });
  assert.deepEqual(bad, []);
});

test('no mark of unfinished work is left, and no test is skipped', () => {
  const marks = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X:', 'not impl' + 'emented'].join('|'));
  const skipped = new RegExp(
    `\\b(test|it|describe|suite)\\.(sk${'ip'}|to${'do'}|on${'ly'})\\b|\\{ *(sk${'ip'}|to${'do'}|on${'ly'}): *true`,
  );
  const bad = sources.filter((path) => {
    const text = readSource(path);
    return marks.test(text) || (path.endsWith('.test.ts') && skipped.test(text));
  });
  assert.deepEqual(bad, []);
});

test('modules name what they export: no default exports, no export *', () => {
  const bad = sources.filter(
    (path) => /^(services|storage|logql)\//.test(path) && /^export (default|\*)/m.test(readSource(path)),
  );
  assert.deepEqual(bad, []);
});

test('nothing in the repository names a path of one machine', () => {
  const machine = new RegExp(`/(wo${'rk'}|ho${'me'}|ro${'ot'}|Us${'ers'})/[a-z]`);
  const bad = sourceFiles(/\.(ts|mjs|md|json|ya?ml|sh|proto)$/).filter(
    (path) => !path.includes('node_modules') && !/testdata|expected/.test(path) && machine.test(readSource(path)),
  );
  assert.deepEqual(bad, []);
});
