import assert from 'node:assert/strict';
import { linesOf, nowNs, type TestClient } from '../harness/client.ts';

const STREAMS = 12;
const LINES_A_STREAM = 5;

/** Lines with numbers in several streams of one app: each must be found once, by whoever is asked. */
export class NumberedLines {
  readonly #app: string;
  readonly #startNs = nowNs();
  #count = 0;

  constructor(app: string) {
    this.#app = app;
  }

  get count(): number {
    return this.#count;
  }

  /** More of them, to a client that must take them. */
  async push(client: TestClient): Promise<void> {
    const streams = Array.from({ length: STREAMS }, (_, stream) => ({
      stream: { app: this.#app, stream: String(stream) },
      values: Array.from({ length: LINES_A_STREAM }, (_, i) => {
        const number = this.#count + stream * LINES_A_STREAM + i;
        return [String(this.#startNs + BigInt(number)), `line ${number}`] as const;
      }),
    }));
    await client.mustPush(streams);
    this.#count += STREAMS * LINES_A_STREAM;
  }

  /** Throws unless each line is there exactly once, in a log query and in a metric query. */
  async check(client: TestClient): Promise<void> {
    const selector = `{app="${this.#app}"}`;
    const end = this.#startNs + BigInt(this.#count);
    const found = linesOf(await client.range({ query: selector, start: this.#startNs, end, limit: 5000 }));
    assert.deepEqual(
      found.map((line) => Number(line.slice('line '.length))).sort((a, b) => a - b),
      Array.from({ length: this.#count }, (_, i) => i),
    );
    const query = `sum(count_over_time(${selector}[10m]))`;
    assert.equal(await client.number({ query, time: this.#startNs + 60_000_000_000n }), this.#count);
  }
}
