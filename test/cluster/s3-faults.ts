import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the store does to its clients; `cut`: the bodies of answers end in the middle. */
export type S3Fault = 'none' | 'error' | 'slow' | 'cut';

const SLOW_MS = 2000;

/** A way to an S3 server that can be made to misbehave. Requests are passed on as they are, signatures and all. */
export class FaultyS3 {
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #target: URL;
  fault: S3Fault = 'none';
  /** Requests that met a fault. */
  faults = 0;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((incoming, answer) => {
      this.#pass(incoming, answer).catch(() => answer.destroy()); // the client sees a broken connection, as it should
    });
  }

  static async start(target: string): Promise<FaultyS3> {
    const proxy = new FaultyS3(target);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject);
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { fault } = this;
    if (fault !== 'none') this.faults++;
    if (fault === 'error') {
      incoming.resume();
      answer.writeHead(500, { 'Content-Type': 'application/xml' });
      answer.end('<Error><Code>InternalError</Code><Message>a fault of the test</Message></Error>');
      return;
    }
    if (fault === 'slow') await sleep(SLOW_MS);
    const { hostname, port } = this.#target;
    const { method, url, headers } = incoming;
    const passed = request({ agent: this.#agent, hostname, port, method, path: url, headers });
    incoming.pipe(passed);
    incoming.on('error', () => passed.destroy());
    answer.on('close', () => passed.destroy());
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      passed.once('response', resolve).once('error', reject);
    });
    answer.writeHead(response.statusCode!, response.headers);
    if (fault === 'cut' && method === 'GET') {
      const length = Number(response.headers['content-length'] ?? 0);
      let left = Math.floor(length / 2);
      for await (const bytes of response as AsyncIterable<Buffer>) {
        answer.write(bytes.subarray(0, left));
        left -= Math.min(left, bytes.length);
        if (left === 0) break;
      }
      answer.destroy();
      return;
    }
    response.pipe(answer);
    response.on('error', () => answer.destroy());
  }
}
