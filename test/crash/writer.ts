/** One push: lines `from` to `to` (exclusive) of a client in one round. */
export interface Batch {
  readonly round: number;
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

export interface WriterOptions {
  readonly url: string;
  readonly round: number;
  readonly client: number;
  readonly baseNs: bigint;
  readonly random: () => number;
  /** Sent first: what an earlier process did not acknowledge, as an agent sends it again. */
  readonly resend: readonly Batch[];
}

export interface Written {
  /** Lines that were acknowledged, and must be found. */
  readonly acknowledged: readonly Batch[];
  /** Pushes without an answer; their lines may be found or not. */
  readonly open: readonly Batch[];
}

const SECOND_NS = 1_000_000_000n;

/** Every line is distinct and so is its timestamp within the stream, so that pages can be cut between any two. */
export const lineOf = (batch: Batch, n: number): string =>
  `round=${batch.round} client=${batch.client} line=${n} ${'.'.repeat(n % 80)}`;
export const timestampOf = (baseNs: bigint, batch: Batch, n: number): bigint =>
  baseNs + BigInt(batch.round) * SECOND_NS + BigInt(n) * 1000n;

/** Pushes at full speed until the server is gone. */
export async function writeUntilKilled(options: WriterOptions): Promise<Written> {
  const acknowledged: Batch[] = [];
  const open: Batch[] = [...options.resend];
  let next = 0;
  for (;;) {
    let batch = open[0];
    if (batch === undefined) {
      const size = 1 + Math.floor(options.random() * 50);
      batch = { round: options.round, client: options.client, from: next, to: next + size };
      open.push(batch);
      next += size;
    }
    let status: number;
    try {
      status = await push(options, batch);
    } catch {
      return { acknowledged, open }; // the connection broke: the server was killed
    }
    if (status === 204) acknowledged.push(open.shift()!);
    else if (status !== 503 && status !== 500) throw new Error(`a push was answered ${status}`);
  }
}

async function push({ url, baseNs }: WriterOptions, batch: Batch): Promise<number> {
  const values: [string, string][] = [];
  for (let n = batch.from; n < batch.to; n++) {
    values.push([String(timestampOf(baseNs, batch, n)), lineOf(batch, n)]);
  }
  const stream = { app: 'crash', round: String(batch.round), client: String(batch.client) };
  const answer = await fetch(`${url}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream, values }] }),
  });
  const text = await answer.text();
  if (answer.status >= 400 && answer.status < 500) throw new Error(`a push was refused: ${text}`);
  return answer.status;
}
