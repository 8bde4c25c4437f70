import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { linesOf, nowNs, TestClient, until } from '../harness/client.ts';
import { freePorts, requirePrograms } from '../servers/daemon.ts';
import { readText } from './deploy-files.ts';
import { execForm, type Stage } from './dockerfile.ts';
import { buildImageTree, exists, ImageProcess, removeTree, sizeOf } from './image-tree.ts';

/** Program and dependencies; Node comes with the base image. */
const LARGEST_BYTES = 100e6;

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
  /** A folder of the repository, `resolved`, which has an entry of its own. */
  readonly link?: boolean;
  readonly resolved?: string;
}

describe('the container image, made and run without an engine', () => {
  let folder: string;
  let root: string;
  let stage: Stage;

  before(async () => {
    await requirePrograms('git', 'npm', 'unshare', 'nsenter', 'setpriv', 'chroot', 'ldd');
    folder = await mkdtemp(join(tmpdir(), 'loptr-image-'));
    ({ root, stage } = await buildImageTree(folder));
  });
  after(() => removeTree(folder));

  it('has the compiled program and what it needs at run time, no sources, no tests, no tools', async () => {
    const app = join(root, 'app');
    assert.deepEqual(globSync('{dist,scripts}/**/*.ts', { cwd: app }), []);
    assert.deepEqual(globSync('dist/**/*{.test.js,testdata}', { cwd: app }), []);
    assert.ok(globSync('dist/proto/*.proto', { cwd: app }).length > 0);
    const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Record<string, LockedPackage> };
    for (const [path, entry] of Object.entries(packages).filter(([place]) => place.startsWith('node_modules/'))) {
      const locked = entry.link ? packages[entry.resolved!]! : entry;
      const isForTools = locked.dev === true || locked.devOptional === true;
      if (isForTools || locked.optional !== true) assert.equal(await exists(join(app, path)), !isForTools, path);
    }
    const bytes = await sizeOf(app);
    assert.ok(bytes < LARGEST_BYTES, `${bytes} bytes`);
  });

  it('runs as process 1 of another user on a read-only file system, is healthy, keeps lines, and stops when asked', async () => {
    const data = join(folder, 'data');
    await mkdir(data);
    const user = textOf(stage, 'USER');
    const volume = textOf(stage, 'VOLUME');
    const [uid, gid] = user.split(':').map(Number) as [number, number];
    await chown(data, uid, gid);
    const [http, grpc] = (await freePorts(2)) as [number, number];
    const command = [
      ...execForm(stage, 'ENTRYPOINT'),
      ...execForm(stage, 'CMD'),
      '-server.http-listen-address=127.0.0.1',
      `-server.http-listen-port=${http}`,
      '-server.grpc-listen-address=127.0.0.1',
      `-server.grpc-listen-port=${grpc}`,
    ];
    const start = (): ImageProcess => new ImageProcess({ root, data, volume, user, command });
    const client = new TestClient(`http://127.0.0.1:${http}`);
    const healthCheck = [...execForm(stage, 'HEALTHCHECK'), `-health.url=http://localhost:${http}/ready`];
    const startNs = nowNs();
    {
      await using program = start();
      await becomesReady(program, client);
      assert.equal(await program.status('Uid'), [uid, uid, uid, uid].join('\t'));
      assert.equal(await program.status('CapEff'), '0000000000000000');
      assert.equal(await program.status('NoNewPrivs'), '1');
      assert.match((await program.status('NSpid'))!, /\t1$/);
      const mounts = await readFile(`/proc/${await program.pid()}/mountinfo`, 'utf8');
      assert.match(mounts, / \/ ro[, ]/);
      assert.equal(await program.exec(healthCheck), 0, program.log);
      await client.mustPush([{ stream: { app: 'image' }, values: [[`${startNs}`, 'hello']] }]);
      await program.kill('SIGTERM');
      assert.equal(await program.exited, 0, program.log);
    }
    {
      await using program = start();
      await becomesReady(program, client);
      const answer = await client.range({ query: '{app="image"}', start: startNs - 1n, end: startNs + 1n });
      assert.deepEqual(linesOf(answer), ['hello']);
    }
  });
});

async function becomesReady(program: ImageProcess, client: TestClient): Promise<void> {
  await until('the program of the image is ready', async () => {
    if (program.hasExited) throw new Error(`it ended\n${program.log}`);
    const ready = await fetch(`${client.url}/ready`).catch(() => undefined); // not listening yet
    await ready?.arrayBuffer();
    return ready?.ok === true;
  });
}

function textOf(stage: Stage, name: string): string {
  return stage.instructions.findLast((instruction) => instruction.name === name)!.text;
}
