import { WebSocket } from 'ws';
import { until } from '../harness/client.ts';

interface TailMessage {
  readonly streams: readonly { readonly values: readonly (readonly [ns: string, line: string])[] }[];
  readonly dropped_entries?: readonly unknown[] | null;
}

/** Somebody who follows a query. */
export class TailClient {
  readonly #socket: WebSocket;
  readonly lines: string[] = [];
  /** Entries that the server says it left out. */
  dropped = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const { streams, dropped_entries: dropped } = JSON.parse(data.toString()) as TailMessage;
      for (const { values } of streams) for (const [, line] of values) this.lines.push(line);
      this.dropped += dropped?.length ?? 0;
    });
  }

  /** Resolves once the server follows. `url`: of a server, with http. */
  static async open(url: string, query: string, params: Readonly<Record<string, string>> = {}): Promise<TailClient> {
    const path = `/loki/api/v1/tail?${new URLSearchParams({ query, ...params })}`;
    const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`);
    const client = new TailClient(socket);
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return client;
  }

  async holds(count: number): Promise<void> {
    await until(`${count} lines, not ${this.lines.length}`, () => this.lines.length >= count, 30_000);
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#socket.once('close', resolve));
    this.#socket.close();
    await closed;
  }
}
