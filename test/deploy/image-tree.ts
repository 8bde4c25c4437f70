/**
 * The file tree of the container image, made without a container engine: the steps of deploy/Dockerfile are done in folders, one a
 * stage, and what the base image would bring (Node and the libraries it is linked with) is taken from this machine. Needs root.
 */
import { execFile, spawn, spawnSync } from 'node:child_process';
import { chown, cp, mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT, readText } from './deploy-files.ts';
import { copyOf, type Instruction, parseDockerfile, type Stage, visiblePaths } from './dockerfile.ts';

const run = promisify(execFile);
const STEP_MS = 300_000;

/** Makes the tree of the last stage below `folder` and returns it with its root. */
export async function buildImageTree(folder: string): Promise<{ readonly root: string; readonly stage: Stage }> {
  const { stages } = parseDockerfile(readText('deploy/Dockerfile'));
  const { stdout } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: ROOT });
  const context = visiblePaths(stdout.trim().split('\n'), readText('deploy/Dockerfile.dockerignore'));
  for (const [i, stage] of stages.entries()) {
    const root = join(folder, stage.name ?? `stage-${i}`);
    await mkdir(root);
    let directory = '/';
    for (const instruction of stage.instructions) {
      if (instruction.name === 'WORKDIR') {
        directory = instruction.text;
        await mkdir(join(root, directory), { recursive: true });
      } else if (instruction.name === 'COPY') await copy(instruction, { folder, root, directory, context });
      else if (instruction.name === 'RUN') await runStep(instruction.text, join(root, directory));
    }
  }
  const stage = stages.at(-1)!;
  const root = join(folder, `stage-${stages.length - 1}`);
  await addBaseImage(root);
  return { root, stage };
}

interface Place {
  readonly folder: string;
  readonly root: string;
  readonly directory: string;
  readonly context: readonly string[];
}

async function copy(instruction: Instruction, { folder, root, directory, context }: Place): Promise<void> {
  const { from, chown: owner } = instruction.options;
  const { sources, target } = copyOf(instruction);
  const place = join(root, target.startsWith('/') ? target : join(directory, target));
  for (const source of sources) {
    const isInto = target.endsWith('/') || target === '.' || target === './';
    if (from !== undefined) await cp(join(folder, from, source), place, { recursive: true, verbatimSymlinks: true });
    else if (context.includes(source)) await copyFile(source, isInto ? join(place, basenameOf(source)) : place);
    else {
      const inside = context.filter((path) => path.startsWith(`${source}/`));
      if (inside.length === 0) throw new Error(`COPY finds no ${source}`);
      for (const path of inside) await copyFile(path, join(place, path.slice(source.length + 1)));
    }
  }
  if (owner !== undefined) {
    const [user, group] = owner.split(':').map(Number) as [number, number];
    await chown(place, user, group);
  }
}

const basenameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

async function copyFile(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await cp(join(ROOT, source), target);
}

/** Steps work in the folder of their stage only: nothing holds them there but this check. */
async function runStep(command: string, directory: string): Promise<void> {
  if (/(^|[\s=])\/|\.\./.test(command)) throw new Error(`RUN leaves its folder: ${command}`);
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(npm_(package|lifecycle)_|npm_config_local_prefix|NODE_(ENV|TEST_CONTEXT)$)/.test(name),
    ),
  );
  await run('sh', ['-c', command], {
    cwd: directory,
    timeout: STEP_MS,
    maxBuffer: 1 << 26,
    env: {
      ...environment,
      PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter),
      npm_config_prefer_offline: 'true',
    },
  });
}

/** Node, what it is linked with, and the folders that an engine mounts. */
async function addBaseImage(root: string): Promise<void> {
  const node = await realpath(process.execPath);
  const { stdout } = await run('ldd', [node]);
  const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path]) => path!);
  await mkdir(join(root, 'usr/local/bin'), { recursive: true });
  await cp(node, join(root, 'usr/local/bin/node'));
  for (const library of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await cp(await realpath(library), join(root, library));
  }
  for (const mounted of ['proc', 'dev']) await mkdir(join(root, mounted));
  await writeFile(join(root, 'etc/hosts'), '127.0.0.1 localhost\n');
}

/** Bytes of the files below it. */
export async function sizeOf(folder: string): Promise<number> {
  const { stdout } = await run('du', ['--summarize', '--bytes', folder]);
  return Number(stdout.split('\t')[0]);
}

/**
 * A process as an engine would start it: the tree as root of its file system, mounted read-only, process number 1, another user, no
 * rights and no way to get any. `data` is the volume.
 */
export class ImageProcess {
  readonly exited: Promise<number | null>;
  readonly #unshare: ReturnType<typeof spawn>;
  readonly #root: string;
  readonly #user: string;
  #log = '';

  constructor(options: {
    readonly root: string;
    readonly data: string;
    readonly volume: string;
    readonly user: string;
    readonly command: readonly string[];
  }) {
    const { root, data, volume, user, command } = options;
    this.#root = root;
    this.#user = user;
    const mounts = `set -eu
      mount --bind "$0" "$0"
      mount --rbind /dev "$0/dev"
      mount -t proc proc "$0/proc"
      mount --bind "$1" "$0$2"
      mount -o remount,bind,ro "$0"
      root=$0 user=$3; shift 3
      exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" "$@"`;
    this.#unshare = spawn(
      'unshare',
      ['--mount', '--pid', '--fork', 'sh', '-c', mounts, root, data, volume, user, ...command],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' } },
    );
    for (const stream of [this.#unshare.stdout!, this.#unshare.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
    }
    this.exited = new Promise((resolve) => {
      this.#unshare.once('exit', (code) => resolve(code));
    });
  }

  get log(): string {
    return this.#log;
  }

  get hasExited(): boolean {
    return this.#unshare.exitCode !== null || this.#unshare.signalCode !== null;
  }

  /** The number that this machine gives to process 1 of the tree. */
  async pid(): Promise<number> {
    const { pid } = this.#unshare;
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
    const [child] = children.trim().split(' ');
    if (!child) throw new Error(`nothing runs in the tree\n${this.#log}`);
    return Number(child);
  }

  /** A line of /proc/…/status. */
  async status(name: string): Promise<string | undefined> {
    const status = await readFile(`/proc/${await this.pid()}/status`, 'utf8');
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1];
  }

  /** Runs a program beside it, as `docker exec` does; resolves with its exit code. */
  async exec(command: readonly string[]): Promise<number | null> {
    const inside = ['--target', `${await this.pid()}`, '--mount', '--pid'];
    const done = spawnSync('nsenter', [...inside, 'chroot', `--userspec=${this.#user}`, this.#root, ...command], {
      encoding: 'utf8',
      env: { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin' },
    });
    this.#log += done.stdout + done.stderr;
    return done.status;
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The child itself: what unshare would send it at its own end is forgotten when a process changes its user.
    if (!this.hasExited) await this.kill('SIGKILL');
    await this.exited;
  }
}

export async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}
