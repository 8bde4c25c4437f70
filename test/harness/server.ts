import { type ChildProcess, spawn } from 'node:child_process';
import { get } from 'node:https';
import { createServer } from 'node:net';
import { join } from 'node:path';

export interface ServerOptions {
  /** Working directory of the process; relative paths of its configuration start here. */
  readonly cwd: string;
  /** Command line after `services/main.ts`, without ports. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly readyMs?: number;
  /** Where the process writes; `inherit` to see it. */
  readonly output?: 'ignore' | 'inherit' | 'collect';
  /** Start it as users do, by `scripts/run.mjs`: with flags and environment that matter to speed and memory alone. */
  readonly isTuned?: boolean;
  /** How the process is asked whether it is ready; with https any certificate of it will do. */
  readonly scheme?: 'http' | 'https';
  /** Shown to a process that asks for a certificate. */
  readonly identity?: { readonly cert: Buffer; readonly key: Buffer };
  /** Ports of an earlier process, to come back on the same address. */
  readonly ports?: { readonly http: number; readonly grpc: number };
}

const ROOT = join(import.meta.dirname, '..', '..');

/** A real Loptr process on free loopback ports. */
export class TestServer {
  readonly url: string;
  readonly ports: { readonly http: number; readonly grpc: number };
  readonly #child: ChildProcess;
  #log = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  private constructor(child: ChildProcess, ports: { http: number; grpc: number }, scheme: 'http' | 'https') {
    this.#child = child;
    this.ports = ports;
    this.url = `${scheme}://127.0.0.1:${ports.http}`;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-200_000);
      });
    }
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
  }

  /** Starts a process and waits until `/ready` says so. Rejects with its output when it ends before. */
  static async start(options: ServerOptions): Promise<TestServer> {
    const ports = options.ports ?? { http: await freePort(), grpc: await freePort() };
    const output = options.output ?? 'collect';
    const stdio = output === 'collect' ? 'pipe' : output;
    const child = spawn(
      process.execPath,
      [
        options.isTuned ? join(ROOT, 'scripts', 'run.mjs') : join(ROOT, 'services', 'main.ts'),
        ...(options.args ?? []),
        '-server.http-listen-address=127.0.0.1',
        `-server.http-listen-port=${ports.http}`,
        '-server.grpc-listen-address=127.0.0.1',
        `-server.grpc-listen-port=${ports.grpc}`,
      ],
      { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['ignore', stdio, stdio] },
    );
    const server = new TestServer(child, ports, options.scheme ?? 'http');
    await server.#waitReady(options);
    return server;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** What the process wrote so far (its last 200 kB). */
  get log(): string {
    return this.#log;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.kill('SIGTERM');
    return this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.kill('SIGKILL');
    await this.exited;
  }

  async #waitReady({ readyMs: withinMs = 30_000, scheme, identity }: ServerOptions): Promise<void> {
    const deadline = Date.now() + withinMs;
    let ended: { code: number | null; signal: NodeJS.Signals | null } | null = null;
    void this.exited.then((end) => {
      ended = end;
    });
    for (;;) {
      if (ended) throw new Error(`the server ended before it was ready: ${JSON.stringify(ended)}\n${this.#log}`);
      const ready = await (scheme === 'https' ? isReadyOverTls(this.url, identity) : isReady(this.url)).catch(
        () => false, // not listening yet
      );
      if (ready) return;
      if (Date.now() > deadline) {
        this.kill('SIGKILL');
        throw new Error(`the server was not ready within ${withinMs} ms\n${this.#log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/ready`);
  await answer.arrayBuffer();
  return answer.ok;
}

function isReadyOverTls(url: string, identity: ServerOptions['identity']): Promise<boolean> {
  return new Promise((resolve, reject) => {
    get(`${url}/ready`, { agent: false, rejectUnauthorized: false, ...identity }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode === 200)).once('error', reject);
    }).once('error', reject);
  });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}
