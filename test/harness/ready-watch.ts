import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export interface Watched {
  readonly answers: number;
  /** Requests that failed or were not answered with 200. */
  readonly failures: number;
  readonly worstMs: number;
}

/** Asks `/ready` again and again from a thread of its own, which what a test does cannot hold up. */
export class ReadyWatch {
  readonly #worker: Worker;

  constructor(url: string) {
    const file = new URL(`./ready-watch-thread${extname(import.meta.filename)}`, import.meta.url);
    this.#worker = new Worker(file, { workerData: `${url}/ready` });
  }

  async stop(): Promise<Watched> {
    const result = new Promise<Watched>((resolve, reject) => {
      this.#worker.once('message', resolve).once('error', reject);
    });
    this.#worker.postMessage('stop');
    return result;
  }
}
