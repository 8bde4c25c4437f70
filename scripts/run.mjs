#!/usr/bin/env node
// Starts the program, or one of its scripts, on the Node that it needs. Plain old JavaScript: it may begin on Node 18.
//
//   node scripts/run.mjs -target=all            the program
//   node scripts/run.mjs scripts/test.mjs …     a script
//
// In a clone it installs the dependencies on first use (they bring Node 26 along) and again when the lock file changes.
// In the published package it runs the compiled program and asks for nothing but a new enough Node.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import v8 from 'node:v8';

const NEEDED_MAJOR = 26;
// Ends regular expressions that backtrack without bound in linear time; must stand before the first one is compiled.
// NODE_OPTIONS refuses it, so it goes on the command line.
const V8_FLAGS = ['--enable-experimental-regexp-engine-on-excessive-backtracks'];
// What else the program is started with; docs/performance.md has the figures. Memory that V8 and the C library keep:
const PROGRAM_FLAGS = [
  // Two of these a thread, and as much garbage in buffers before it is looked for.
  '--max-semi-space-size=8',
  // Heaps are small, and helpers that come for a millisecond cost more than they do. Marking still goes on beside.
  '--no-parallel-scavenge',
  '--no-parallel-marking',
  '--no-parallel-compaction',
  '--no-parallel-pointer-update',
  '--no-concurrent-array-buffer-sweeping',
];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isClone = existsSync(join(root, 'services', 'main.ts')) || existsSync(join(root, 'tsconfig.json'));

function fail(message) {
  process.stderr.write(`loptr: ${message}\n`);
  process.exit(1);
}

function sleepMs(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function lockHash() {
  const hash = createHash('sha256');
  for (const name of ['package-lock.json', join('tools', 'node', 'package.json')]) {
    hash.update(readFileSync(join(root, name)));
  }
  return hash.digest('hex');
}

const stampPath = join(root, 'node_modules', '.loptr-installed');
const nodePath = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.exe' : 'node');

/** True when what npm says it installed is what the lock file asks for: somebody ran npm by hand. */
function installedByHand() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
    const present = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
    return Object.keys(wanted).every((path) => {
      if (path === '' || wanted[path].optional) return true;
      if (!path.startsWith('node_modules/')) return true;
      return present[path] !== undefined && present[path].integrity === wanted[path].integrity;
    });
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

function isInstalled(hash) {
  if (!existsSync(nodePath)) return false;
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8') === hash) return true;
  if (!installedByHand()) return false;
  writeFileSync(stampPath, hash);
  return true;
}

/** Runs `work` while no other start of this clone does; two installs into one folder break each other. */
function withInstallLock(work) {
  const user = typeof process.getuid === 'function' ? process.getuid() : 'user';
  const id = createHash('sha256').update(root).digest('hex').slice(0, 16);
  const lock = join(tmpdir(), `loptr-install-${user}-${id}`);
  const owner = join(lock, 'pid');
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (lockIsDead(lock, owner)) rmSync(lock, { recursive: true, force: true });
      else sleepMs(100);
    }
  }
  try {
    writeFileSync(owner, String(process.pid));
    work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function lockIsDead(lock, owner) {
  try {
    const pid = Number(readFileSync(owner, 'utf8'));
    if (pid > 0) {
      process.kill(pid, 0);
      return false;
    }
  } catch (error) {
    if (error.code === 'ESRCH') return true;
    if (error.code === 'EPERM') return false;
    if (error.code !== 'ENOENT') throw error;
  }
  // Its owner has not written its number yet, or died before it could.
  try {
    return Date.now() - statSync(lock).mtimeMs > 10000;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

function install() {
  const hash = lockHash();
  if (isInstalled(hash)) return;
  withInstallLock(() => {
    if (isInstalled(hash)) return;
    process.stderr.write('loptr: installing dependencies (first start, or the lock file changed)\n');
    // Warnings would be about the machine's Node, which only starts the one that is installed here.
    const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    const npm = process.env.npm_execpath;
    const viaNode = npm !== undefined && /\.[cm]?js$/.test(npm);
    const done = viaNode
      ? spawnSync(process.execPath, [npm, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
      : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
    if (done.error)
      fail(`cannot run npm: ${done.error.message}. Install npm, then run "npm ci --include=dev" in ${root}`);
    if (done.status !== 0) fail(`"npm ci" failed (its output is above); run it in ${root} to see more`);
    if (!existsSync(nodePath)) {
      fail(
        `no Node ${NEEDED_MAJOR} came with the dependencies for ${process.platform}-${process.arch}. ` +
          `Install Node ${NEEDED_MAJOR} or newer yourself and start again with it`,
      );
    }
    writeFileSync(stampPath, hash);
  });
}

/**
 * Set where nobody did. The cache spares a clone Node's TypeScript compiler, which takes half of the start and memory of
 * every thread; where it cannot be written, Node goes on without. Each arena of malloc keeps what its threads once needed.
 */
function programEnvironment() {
  const cache = isClone ? { NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'loptr') } : {};
  return { ...cache, MALLOC_ARENA_MAX: '2', ...process.env };
}

function majorVersion() {
  return Number(process.versions.node.split('.')[0]);
}

/** Continues in this process: the Node is new enough. */
async function continueHere(script, args) {
  for (const flag of V8_FLAGS) v8.setFlagsFromString(flag);
  process.argv = [process.argv[0], script, ...args];
  await import(pathToFileURL(script).href);
}

/** Continues on another Node, or with other flags: as this process where the platform can (exec), else as its child. */
function continueOn(node, argv, env) {
  if (process.execve !== undefined && process.platform !== 'win32') process.execve(node, [node, ...argv], env);
  const child = spawn(node, argv, { stdio: 'inherit', env });
  // One Ctrl-C may reach the child twice, from the terminal and from here; the program counts repeats of a moment as one.
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
  const forward = (signal) => child.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  child.on('error', (error) => fail(`cannot run ${node}: ${error.message}`));
  child.on('exit', (code, signal) => {
    for (const name of signals) process.removeListener(name, forward);
    if (signal) process.kill(process.pid, signal);
    else process.exit(code);
  });
}

/** Flags of Node itself that somebody gave stay in front. */
function startProgram(node, script, args) {
  continueOn(node, [...process.execArgv, ...V8_FLAGS, ...PROGRAM_FLAGS, script, ...args], programEnvironment());
}

const given = process.argv.slice(2);
const isScript = isClone && given.length > 0 && /\.(ts|mjs)$/.test(given[0]) && !given[0].startsWith('-');

if (isClone) {
  install();
  const isNewEnough = majorVersion() >= NEEDED_MAJOR;
  if (!isScript) startProgram(isNewEnough ? process.execPath : nodePath, join(root, 'services', 'main.ts'), given);
  else if (isNewEnough) await continueHere(resolve(given[0]), given.slice(1));
  else continueOn(nodePath, [...V8_FLAGS, resolve(given[0]), ...given.slice(1)], process.env);
} else {
  if (majorVersion() < NEEDED_MAJOR) {
    fail(
      `needs Node ${NEEDED_MAJOR} or newer, and this is Node ${process.versions.node} (${process.execPath}). ` +
        'Get one from https://nodejs.org and start again with it',
    );
  }
  startProgram(process.execPath, join(root, 'dist', 'services', 'main.js'), given);
}
