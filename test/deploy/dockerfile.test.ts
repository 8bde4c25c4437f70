import assert from 'node:assert/strict';
import { existsSync, globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { ROOT, readText, readYamlFile, texts } from './deploy-files.ts';
import { copyOf, execForm, parseDockerfile, visiblePaths } from './dockerfile.ts';

const { stages } = parseDockerfile(readText('deploy/Dockerfile'));
const final = stages.at(-1)!;
const ignoreFile = readText('deploy/Dockerfile.dockerignore');
const copies = stages.flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'COPY'));

describe('the Dockerfile', () => {
  it('copies what is there and what the build may see, from stages that are there', () => {
    const names = stages.map(({ name }) => name);
    for (const instruction of copies) {
      const { from } = instruction.options;
      if (from !== undefined) {
        assert.ok(names.includes(from), from);
        continue;
      }
      for (const source of copyOf(instruction).sources) {
        assert.ok(existsSync(join(ROOT, source)), source);
        const files = globSync(`${source}{,/**}`, { cwd: ROOT });
        assert.ok(visiblePaths(files, ignoreFile).includes(source) || files.length > 1, source);
        assert.notDeepEqual(visiblePaths(files, ignoreFile), [], source);
      }
    }
  });

  it('gives the compiler every folder that it compiles', () => {
    const { include } = JSON.parse(readText('tsconfig.build.json')) as { include: string[] };
    const build = stages.find(({ name }) => name === 'build')!;
    const copied = build.instructions.filter(({ name }) => name === 'COPY').flatMap((one) => copyOf(one).sources);
    for (const folder of include) assert.ok(copied.includes(folder), folder);
  });

  it('keeps tests, secrets and what was built elsewhere out of sight', () => {
    const hidden = ['services/main.test.ts', 'logql/testdata/parse/a.txt', '.git/config', 'node_modules/ws/index.js'];
    const seen = ['services/main.ts', 'proto/logproto.proto', 'package-lock.json'];
    assert.deepEqual(visiblePaths([...hidden, 'deploy/compose/.env', 'dist/a.js', ...seen], ignoreFile), seen);
  });

  it('installs by the lock file only, without scripts of packages, and none but what runs in the last stage', () => {
    const runs = stages.flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'RUN'));
    const installs = runs.map(({ text }) => text).filter((text) => text.startsWith('npm '));
    for (const text of installs) assert.match(text, /^npm (ci .*--ignore-scripts|run build$)/);
    const from = final.instructions.find(({ text }) => text.endsWith('/app/node_modules'))?.options['from'];
    const modules = stages.find(({ name }) => name === from)!;
    assert.match(modules.instructions.find(({ name }) => name === 'RUN')!.text, /^npm ci --omit=dev /);
    assert.deepEqual(
      final.instructions.filter(({ name }) => name === 'RUN'),
      [],
    );
  });

  it('stands on the Node that the lock file has, by its whole version', () => {
    const { version } = JSON.parse(readText('tools/node/package.json')) as { version: string };
    for (const { from } of stages)
      assert.match(from, new RegExp(`^node:${version.replaceAll('.', '\\.')}-[a-z]+-slim$`));
  });

  it('runs as a user by number, which owns the volume', () => {
    const user = final.instructions.findLast(({ name }) => name === 'USER')?.text;
    const volume = final.instructions.findLast(({ name }) => name === 'VOLUME')?.text;
    assert.match(user!, /^[1-9]\d*:[1-9]\d*$/);
    const data = final.instructions.find((one) => one.name === 'COPY' && copyOf(one).target === volume);
    assert.equal(data?.options['chown'], user);
  });

  it('starts the program of the package, and asks it for its health', () => {
    const { bin } = JSON.parse(readText('package.json')) as { bin: { loptr: string } };
    const program = ['node', `/app/${bin.loptr}`];
    assert.deepEqual(execForm(final, 'ENTRYPOINT'), program);
    assert.deepEqual(execForm(final, 'HEALTHCHECK'), [...program, '-health']);
    const folder = `/app/${dirname(bin.loptr)}/`;
    assert.ok(final.instructions.some((one) => one.name === 'COPY' && copyOf(one).target === folder));
  });

  it('opens the ports of the configuration', () => {
    assert.equal(final.instructions.find(({ name }) => name === 'EXPOSE')?.text, '3100 9095');
  });
});

it('the workflow below deploy/ names only paths of the image that are in it', () => {
  const known = ['/etc/loptr/', '/var/lib/loptr', '/app/'];
  for (const file of ['deploy/compose/single.yaml', 'deploy/compose/cluster.yaml']) {
    const named = texts(readYamlFile(file)).flatMap((text) => text.match(/\/(?:etc|var\/lib)\/loptr[^:"\s]*/g) ?? []);
    assert.ok(named.length > 0);
    for (const path of named)
      assert.ok(
        known.some((prefix) => path.startsWith(prefix)),
        path,
      );
  }
});
