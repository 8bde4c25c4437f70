import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export class WalLockedError extends Error {
  readonly code = 'wal_locked';
}

/**
 * Keeps a directory for one process: a file `lock` with the owner's pid and, on Linux, the boot and the start time of
 * that pid, so that a lock left by SIGKILL is told from a live one even when the pid is in use again (in a container it
 * nearly always is). Processes of different pid namespaces cannot see each other: there the volume must be exclusive.
 */
export class DirectoryLock {
  readonly #path: string;
  readonly #content: string;

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  /** Throws WalLockedError when a living process holds the directory. */
  static async take(directory: string): Promise<DirectoryLock> {
    const path = join(directory, 'lock');
    const content = `${process.pid} ${(await identity(process.pid)) ?? 'unknown'}\n`;
    const own = join(directory, `lock.${process.pid}.${Math.random().toString(36).slice(2)}`);
    await writeFile(own, content, { flag: 'wx' });
    try {
      for (let attempt = 0; attempt < 20; attempt++) {
        try {
          await link(own, path); // fails when the name exists: the one atomic step
          return new DirectoryLock(path, content);
        } catch (error: unknown) {
          if (codeOf(error) !== 'EEXIST') throw error;
        }
        const holder = await readOrNull(path);
        if (holder === null) continue;
        if (await isAlive(holder)) {
          throw new WalLockedError(`${directory} is in use by process ${holder.split(' ')[0]} (its lock is ${path})`);
        }
        await setAside(path, holder, `${own}.stale`);
      }
      throw new WalLockedError(`${directory}: the lock changes hands too fast`);
    } finally {
      await unlink(own);
    }
  }

  async release(): Promise<void> {
    if ((await readOrNull(this.#path)) === this.#content) await unlink(this.#path);
  }
}

/** Moves a stale lock away; puts it back when another process had replaced it in between. */
async function setAside(path: string, judged: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error: unknown) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readOrNull(aside)) !== judged) {
    try {
      await link(aside, path);
    } catch (error: unknown) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
  await unlink(aside);
}

async function isAlive(holder: string): Promise<boolean> {
  const [pidText = '', ...rest] = holder.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0) return false; // a lock cut short by a crash
  try {
    process.kill(pid, 0);
  } catch (error: unknown) {
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = await identity(pid);
  return now === null || rest.join(' ') === now;
}

/** Boot and start time of a process: what a pid alone does not tell. Null where there is no /proc. */
async function identity(pid: number): Promise<string | null> {
  const boot = await readOrNull('/proc/sys/kernel/random/boot_id');
  const stat = await readOrNull(`/proc/${pid}/stat`);
  if (boot === null || stat === null) return null;
  // The second field is the command in parentheses and may hold spaces; the start time is field 22.
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return `${boot.trim()} ${started}`;
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error: unknown) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
