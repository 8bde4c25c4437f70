// Runs the tests against real servers (S3, …), which `scripts/install-test-servers.sh` installs: `npm run test:servers`.
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const root = join(import.meta.dirname, '..');
// Folders or files of the tests that are wanted; all without.
const wanted = process.argv.slice(2);
const files = globSync('{logql,storage,services,test}/**/*.servers.test.ts', { cwd: root })
  .filter((path) => wanted.length === 0 || wanted.some((start) => path.startsWith(start)))
  .sort()
  .map((path) => join(root, path));
if (files.length === 0) {
  console.error('no *.servers.test.ts found');
  process.exit(1);
}

/** Files with a failure, and how many tests there were. */
function runFiles(some) {
  const failed = new Set();
  let tests = 0;
  return new Promise((resolve) => {
    const stream = run({ files: some, cwd: root, concurrency: 1 });
    stream.on('test:fail', ({ file }) => failed.add(file));
    stream.on('test:summary', ({ file, counts }) => {
      if (file === undefined) tests = counts.tests;
    });
    stream.compose(new spec()).pipe(process.stdout, { end: false });
    stream.on('end', () => resolve({ failed: [...failed], tests }));
  });
}

const { failed, tests } = await runFiles(files);
process.exitCode = tests > 0 && failed.length === 0 ? 0 : 1;
