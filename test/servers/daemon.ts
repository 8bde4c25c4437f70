/** Programs of others, run by tests: found, started on free ports, awaited, ended by their process, heard when they fail. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 20_000;

/** Throws with the way to install them when one is not there. */
export async function requirePrograms(...programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    await promisify(execFile)('sh', ['-c', `command -v ${program}`]).catch((cause: unknown) => {
      throw new Error(`${program} is not installed: scripts/install-test-servers.sh`, { cause });
    });
  }
}

export class Daemon {
  readonly #program: string;
  readonly #child: ChildProcess;
  readonly #output: string;
  readonly #ended: Promise<void>;

  private constructor(program: string, child: ChildProcess, output: string) {
    this.#program = program;
    this.#child = child;
    this.#output = output;
    this.#ended = new Promise((resolve) => {
      child.once('exit', () => resolve());
    });
  }

  /** The program must stay in the foreground. `output` is the file for what it writes. */
  static async start(program: string, args: readonly string[], output: string): Promise<Daemon> {
    const file = await open(output, 'w');
    try {
      const child = spawn(program, args, { stdio: ['ignore', file.fd, file.fd] });
      await new Promise((resolve, reject) => {
        child.once('spawn', resolve);
        child.once('error', reject);
      });
      return new Daemon(program, child, output);
    } finally {
      await file.close();
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Resolves once the address gives an answer, whatever it is. */
  answers(url: string, withinMs = START_DEADLINE_MS): Promise<void> {
    return this.accepts(async () => {
      await (await fetch(url)).arrayBuffer();
    }, withinMs);
  }

  /** Resolves once `attempt` does; rejects with the last lines of the program when it ends before or takes too long. */
  async accepts(attempt: () => Promise<void>, withinMs = START_DEADLINE_MS): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      const { exitCode, signalCode } = this.#child;
      if (exitCode !== null || signalCode !== null) {
        throw new Error(`${this.#program} ended: ${exitCode ?? signalCode}\n${await this.lastLines()}`);
      }
      try {
        await attempt();
        return;
      } catch (error: unknown) {
        if (Date.now() > deadline) throw new Error(`no answer from ${await this.lastLines()}`, { cause: error });
        await sleep(50);
      }
    }
  }

  /** SIGSTOP and SIGCONT: as a machine that stands still. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** A daemon that ignores SIGTERM gets SIGKILL. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  async lastLines(): Promise<string> {
    const text = await readFile(this.#output, 'utf8');
    return `${this.#program}:\n${text.split('\n').slice(-20).join('\n')}`;
  }
}

/** Below the ports that systems give to connections: none of those takes one of these before it is listened on. */
const FIRST_PORT = 15_000;
const PORTS = 15_000;
const MAX_TRIES = 1000;

/** All are held open until all are known, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let tries = 0; servers.length < count; tries++) {
    const server = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(randomInt(FIRST_PORT, FIRST_PORT + PORTS), '127.0.0.1', resolve);
      });
      servers.push(server);
    } catch (error: unknown) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries >= MAX_TRIES) throw error;
    }
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
