// Runs the unit and system tests: `npm test`, or `npm test -- logql/syntax services/http` for parts of the tree.
// Fails on a failing, skipped or todo test, and when fewer tests ran than `test-floor.json` says: a glob that matches
// nothing succeeds silently in Node.
import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const root = join(import.meta.dirname, '..');
const parts = process.argv.slice(2);
const patterns = (parts.length > 0 ? parts : ['{logql,storage,services,test,scripts}']).flatMap((part) =>
  part.endsWith('.test.ts') ? [part] : [`${part}/**/*.test.ts`],
);
// Tests against real servers (S3, etcd) need those installed: `npm run test:servers`.
const files = globSync(patterns, { cwd: root })
  .filter((path) => !path.endsWith('.servers.test.ts') && !path.includes('node_modules'))
  .sort()
  .map((path) => join(root, path));
if (files.length === 0) {
  console.error(`no test files match ${patterns.join(' ')}`);
  process.exit(1);
}

const stream = run({
  files,
  cwd: root,
  concurrency: 2,
  execArgv: ['--enable-experimental-regexp-engine-on-excessive-backtracks'],
});
const failed = new Set();
let counts;
stream.on('test:fail', (data) => {
  if (data.file) failed.add(relative(root, data.file));
});
stream.on('test:summary', (data) => {
  if (data.file === undefined) counts = data.counts;
});
stream.compose(new spec()).pipe(process.stdout);
stream.on('end', () => {
  const floor =
    parts.length > 0 ? 1 : JSON.parse(readFileSync(join(import.meta.dirname, 'test-floor.json'), 'utf8')).tests;
  const problems = [];
  if (!counts) problems.push('the test run gave no summary');
  else {
    if (counts.passed !== counts.tests || failed.size > 0) problems.push(`failing tests in: ${[...failed].join(', ')}`);
    if (counts.skipped > 0 || counts.todo > 0) problems.push(`${counts.skipped} skipped and ${counts.todo} todo tests`);
    if (counts.tests < floor)
      problems.push(`${counts.tests} tests ran, scripts/test-floor.json wants ${floor} or more`);
  }
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length > 0 ? 1 : 0;
});
