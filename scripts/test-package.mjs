// Packs the project, installs the tarball into an empty folder as a user would, and uses it: `npm run test:package`.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'loptr-package-'));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const START_DEADLINE_MS = 30_000;

const npm = (args, cwd) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

try {
  const [packed] = JSON.parse(
    npm(['pack', '--json', '--silent', '--pack-destination', folder], root).replace(/^[^[]*/, ''),
  );
  const names = packed.files.map((file) => file.path);
  for (const needed of [
    'scripts/run.mjs',
    'dist/services/main.js',
    'dist/proto/logproto.proto',
    'README.md',
    'LICENSE',
  ]) {
    assert.ok(names.includes(needed), `the package lacks ${needed}`);
  }
  const unwanted = names.filter((name) => /\.ts$|\.test\.|testdata|\/testing\//.test(name));
  assert.deepEqual(unwanted, [], 'the package has files that nobody needs');

  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  npm(['install', '--prefer-offline', '--omit=dev', '--no-audit', '--no-fund', join(folder, packed.filename)], folder);
  const program = join(folder, 'node_modules', '.bin', 'loptr');
  const said = execFileSync(process.execPath, [program, '-version'], { cwd: folder, encoding: 'utf8' });
  assert.ok(said.includes(version), `-version says ${said}`);
  refusesOldNode(program);
  await pushAndQuery(program);
  console.log(
    `package ${packed.filename}: ${names.length} files, ${packed.unpackedSize} bytes unpacked; works when installed`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** With an old Node on the machine: the program must say what it needs instead of failing somewhere. */
function refusesOldNode(program) {
  const path = (process.env.PATH ?? '').split(delimiter).filter((part) => !part.includes('node_modules'));
  const candidates = path.map((part) => join(part, 'node')).filter((file) => existsSync(file));
  const old = candidates.find((file) => {
    const out = execFileSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' });
    return Number(out.split('.')[0]) < 26;
  });
  if (old === undefined) {
    console.log('no older Node here: the refusal of one was not tried');
    return;
  }
  const done = spawnSync(old, [program, '-version'], { encoding: 'utf8' });
  assert.equal(done.status, 1);
  assert.match(done.stderr, /needs Node 26 or newer/);
}

async function pushAndQuery(program) {
  const args = ['-server.http-listen-address=127.0.0.1', '-server.http-listen-port=0', '-server.grpc-listen-port=0'];
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'inherit', 'pipe'] });
  const exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  try {
    const deadline = Date.now() + START_DEADLINE_MS;
    const base = await until(deadline, () => /push=(http:\/\/\S+?)\/loki\/api\/v1\/push/.exec(log)?.[1]);
    await until(deadline, async () => (await fetch(`${base}/ready`)).status === 200);
    const nowNs = `${Date.now()}000000`;
    const pushed = await fetch(`${base}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ streams: [{ stream: { app: 'package' }, values: [[nowNs, 'hello']] }] }),
    });
    assert.equal(pushed.status, 204, await pushed.text());
    const query = encodeURIComponent('{app="package"} |= "hello"');
    const answer = await (await fetch(`${base}/loki/api/v1/query_range?query=${query}`)).json();
    assert.equal(answer.data.result[0].values[0][1], 'hello');
    child.kill('SIGTERM');
    assert.equal(await exited, 0);
  } catch (error) {
    console.error(log);
    throw error;
  } finally {
    child.kill('SIGKILL');
  }
}

async function until(deadline, ask) {
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`not within ${START_DEADLINE_MS} ms: ${ask}`);
    await sleep(50);
  }
}
