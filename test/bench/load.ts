/** What the small benches share: a process under measure, a client that keeps connections, bodies, figures. */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import snappy from 'snappyjs';
import { TestServer } from '../harness/server.ts';

/** Limits out of the way: what is measured is the program. */
const CONFIG = `auth_enabled: false
common:
  path_prefix: ./data
limits_config:
  reject_old_samples: false
  ingestion_rate_mb: 100000
  ingestion_burst_size_mb: 100000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
  max_global_streams_per_user: 0
`;

/** A server of its own on an empty directory, and what it costs. */
export class Bench {
  #server: TestServer;
  readonly #directory: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 });

  private constructor(server: TestServer, directory: string) {
    this.#server = server;
    this.#directory = directory;
  }

  static async start(): Promise<Bench> {
    const directory = await mkdtemp(join(tmpdir(), 'loptr-bench-'));
    await writeFile(join(directory, 'config.yaml'), CONFIG);
    return new Bench(await startIn(directory), directory);
  }

  get server(): TestServer {
    return this.#server;
  }

  get dataDirectory(): string {
    return join(this.#directory, 'data');
  }

  /** Ends the process as a crash does, and starts another on its data. Resolves with how long that took to be ready, s. */
  async crashAndStart(): Promise<number> {
    this.#server.kill('SIGKILL');
    await this.#server.exited;
    const started = performance.now();
    this.#server = await startIn(this.#directory);
    return (performance.now() - started) / 1000;
  }

  /** CPU seconds of the process so far. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.server.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Most memory that the process had, MB. */
  peakMB(): number {
    return Math.round(
      Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${this.server.pid}/status`, 'utf8'))![1]) / 1024,
    );
  }

  /** Resolves with how long it took, ms; rejects on any answer but a good one. */
  call(method: string, path: string, body?: Buffer): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const started = performance.now();
    const headers = body && { 'content-type': 'application/x-protobuf', 'content-length': body.length };
    const outgoing = request(
      {
        host: '127.0.0.1',
        port: this.server.ports.http,
        method,
        path,
        agent: this.#agent,
        ...(headers && { headers }),
      },
      (answer) => {
        const good = (answer.statusCode ?? 500) < 300;
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          if (!good) text += chunk.toString();
        });
        answer.on('end', () => {
          if (good) resolve(performance.now() - started);
          else reject(new Error(`${method} ${path}: ${answer.statusCode} ${text}`));
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
    return promise;
  }

  /** The value of an instant query for one number. */
  async value(query: string): Promise<number> {
    const answer = await fetch(`${this.#server.url}/loki/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await answer.json()) as { data: { result: readonly { value: readonly [number, string] }[] } };
    return Number(data.result[0]?.value[1] ?? 0);
  }

  /** The process's metrics by name with labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const text = await (await fetch(`${this.#server.url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  }

  push(body: Buffer): Promise<number> {
    return this.call('POST', '/loki/api/v1/push', body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.server[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true });
  }
}

const startIn = (directory: string): Promise<TestServer> => {
  const args = ['-config.file=config.yaml', '-log.level=warn'];
  return TestServer.start({ cwd: directory, args, output: 'inherit', isTuned: true, readyMs: 120_000 });
};

/** A push in protobuf and snappy; `lines` of each stream are 1 ms apart, the first at `startMs`. */
export function pushBody(streams: readonly { labels: string; lines: readonly string[] }[], startMs: number): Buffer {
  const bodies = streams.map(({ labels, lines }) => {
    const entries = lines.map((line, i) => {
      const ms = startMs + i;
      const time = Buffer.concat([field(1, Math.floor(ms / 1000)), field(2, (ms % 1000) * 1e6)]);
      return bytes(2, Buffer.concat([bytes(1, time), bytes(2, Buffer.from(line))]));
    });
    return bytes(1, Buffer.concat([bytes(1, Buffer.from(labels)), ...entries]));
  });
  return snappy.compress(Buffer.concat(bodies));
}

const varint = (value: number): Buffer => {
  const out: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  return Buffer.from([...out, value]);
};
const field = (number: number, value: number): Buffer => Buffer.concat([varint(number << 3), varint(value)]);
const bytes = (number: number, value: Buffer): Buffer =>
  Buffer.concat([varint((number << 3) | 2), varint(value.length), value]);

let seed = 1;
/** In `[0, n)`; the same numbers in each run. */
export function below(n: number): number {
  seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
}

/** About 150 bytes, as an access log has them. */
export const accessLine = (): string =>
  `10.0.${below(256)}.${below(256)} - - "GET /api/v1/orders/${below(1e6)} HTTP/1.1" ${[200, 200, 201, 404, 500][below(5)]} ${below(60_000)} "https://shop.example.com/cart" "curl/8.5.0" rt=0.${below(1000)}`;

export function percentile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN).toFixed(1);
}

export function report(title: string, figures: Readonly<Record<string, string | number>>): void {
  console.log(title);
  for (const [name, value] of Object.entries(figures)) console.log(`  ${name.padEnd(44)} ${value}`);
}
