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
const stream = run({ files, cwd: root, concurrency: 1 });
let counts;
stream.on('test:summary', (data) => {
  if (data.file === undefined) counts = data.counts;
});
stream.compose(new spec()).pipe(process.stdout);
stream.on('end', () => {
  const isGood = counts !== undefined && counts.tests > 0 && counts.passed === counts.tests;
  process.exitCode = isGood ? 0 : 1;
});
