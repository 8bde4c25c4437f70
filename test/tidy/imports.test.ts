import assert from 'node:assert/strict';
import { dirname, join } from 'node:path/posix';
import { test } from 'node:test';
import { importsOf, loadedImportsOf, readSource, sourceFiles } from './source-files.ts';

const files = sourceFiles(/^(services|storage|logql)\/.*\.ts$/).map((path) => {
  const imports = importsOf(readSource(path));
  const own = imports.filter((name) => name.startsWith('.')).map((name) => join(dirname(path), name));
  return { path, own, packages: imports.filter((name) => !name.startsWith('.') && !name.startsWith('node:')) };
});
const layerOf = (path: string): string => path.split('/')[0]!;

function violations(isBad: (file: (typeof files)[number], target: string) => boolean): string[] {
  return files.flatMap((file) =>
    file.own.filter((target) => isBad(file, target)).map((target) => `${file.path} imports ${target}`),
  );
}

test('the import scanner sees every form of import', () => {
  const text =
    "import a from 'a';\nimport {\n  b,\n} from './b.ts';\nexport type { C } from './c.ts';\nimport 'd';\nawait import('e');";
  assert.deepEqual(importsOf(text), ['a', './b.ts', './c.ts', 'd', 'e']);
  assert.ok(files.length > 20 && files.some((file) => file.own.length > 0));
});

test('imports point down: services to storage to logql', () => {
  const rank: Record<string, number> = { logql: 0, storage: 1, services: 2 };
  // Tests may also use what lies in test/: a reference implementation, a harness.
  const mayUse = (path: string, target: string): boolean => path.endsWith('.test.ts') && layerOf(target) === 'test';
  const bad = violations(
    (file, target) => !mayUse(file.path, target) && (rank[layerOf(target)] ?? 9) > rank[layerOf(file.path)]!,
  );
  assert.deepEqual(bad, []);
});

test('services meet only through the folders that are there for it, and in the wiring', () => {
  const meeting = new Set(['rpc', 'ring', 'config', 'http', 'log']);
  const wiring = /^services\/(app\/)?[^/]+\.ts$/;
  const bad = violations((file, target) => {
    if (layerOf(file.path) !== 'services' || layerOf(target) !== 'services' || wiring.test(file.path)) return false;
    if (file.path.endsWith('.test.ts')) return false;
    const from = file.path.split('/')[1]!;
    const to = target.split('/')[1]!;
    // A frontend answers the routes of a querier, with its parsing and rendering.
    return from !== to && !meeting.has(to) && !(from === 'frontend' && to === 'querier');
  });
  assert.deepEqual(bad, []);
});

test('relative imports name the file with its .ts ending', () => {
  const bad = violations((_file, target) => !/\.(ts|json)$/.test(target));
  assert.deepEqual(bad, []);
});

test('heavy libraries are imported in one folder each', () => {
  const homes: [package_: RegExp, home: RegExp][] = [
    [/^@grpc\//, /^services\/(rpc|frontend)\//],
    [/^(etcd3|cockatiel)$/, /^services\/ring\//],
    [/^(memjs|ioredis)$/, /^storage\/cache\//],
    [/^@aws-sdk\//, /^storage\/objectstore\//],
    [/^chevrotain/, /^logql\/syntax\//],
    [/^re2js/, /^logql\/regex\//],
    [/^(hashring|etcd3|cockatiel)$/, /^services\/ring\//],
    [/^pino/, /^services\/log\//],
    [/^ws$/, /^services\/(http|querier)\//],
    [/^yaml$/, /^services\/(access|config|http|ruler)\//],
  ];
  const bad: string[] = [];
  for (const file of files) {
    if (file.path.endsWith('.test.ts')) continue;
    for (const name of file.packages) {
      for (const [pattern, home] of homes) {
        if (pattern.test(name) && !home.test(file.path)) bad.push(`${file.path} imports ${name}`);
      }
    }
  }
  assert.deepEqual(bad, []);
});

/** What is in memory once a file was imported: files, and names of packages. */
function loaded(entry: string): Set<string> {
  const seen = new Set([entry]);
  for (const path of seen) {
    if (!path.endsWith('.ts')) continue; // a package
    for (const name of loadedImportsOf(readSource(path))) {
      seen.add(name.startsWith('.') ? join(dirname(path), name) : name);
    }
  }
  return seen;
}
const tooMuch = (modules: Set<string>, pattern: RegExp) => [...modules].filter((name) => pattern.test(name));

test('a worker thread loads no grammar, and what reads blocks only with the first query', () => {
  const encoding = loaded('storage/scan/worker.ts');
  assert.ok(encoding.has('storage/filter/index.ts'));
  const reading = loaded('storage/scan/read-jobs.ts');
  assert.ok(reading.has('storage/scan/metric-scan.ts'));
  assert.deepEqual(
    tooMuch(encoding, /^logql\/(aggregate|stages|syntax|template)|^storage\/(objectstore|compaction)/),
    [],
  );
  assert.deepEqual(tooMuch(reading, /^chevrotain/), []);
});

test('a process that takes part in no cluster loads gRPC for who calls it, not at the start', () => {
  const program = loaded('services/app/app.ts');
  assert.ok(program.has('services/rpc/grpc-server.ts'));
  assert.deepEqual(tooMuch(program, /^@grpc|^protobufjs/), []);
});

test('logql does no input and no output', () => {
  const allowed = /^node:(assert|test|buffer|util|path|url|v8|crypto|net)/;
  // `net` is there for isIP, which only reads a text.
  const bad: string[] = [];
  for (const path of sourceFiles(/^logql\/.*(?<!\.test)\.ts$/)) {
    for (const name of importsOf(readSource(path))) {
      if (/^node:(fs|http|child_process|worker_threads)/.test(name)) bad.push(`${path} imports ${name}`);
      else if (name.startsWith('node:') && !allowed.test(name)) bad.push(`${path} imports ${name}`);
    }
  }
  assert.deepEqual(bad, []);
});

test('the environment is read in one place', () => {
  const bad = sourceFiles(/^(services|storage|logql)\/.*(?<!\.test)\.ts$/).filter(
    // To hand it on whole to a thread is not to read it.
    (path) => /(?<!\.\.\.)process\.env\b/.test(readSource(path)) && path !== 'services/main.ts',
  );
  assert.deepEqual(bad, []);
});
