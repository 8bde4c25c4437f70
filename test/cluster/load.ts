import { setTimeout as sleep } from 'node:timers/promises';
import { type Batch, lineOf, timestampOf } from '../crash/writer.ts';

const BATCH_LINES = 50;
const RETRY_MS = 100;
/** Between two pushes of a client: load enough for every fault to meet some, and cores left for the members. */
const PAUSE_MS = 10;
const CLIENT_TIMEOUT_MS = 15_000;

export interface ClientErrors {
  /** By what the client saw: a status, or that there was no answer. */
  readonly counts: Map<string, number>;
  /** ms since 1970 of the last one; 0 for none. */
  lastMs: number;
}

export const noErrors = (): ClientErrors => ({ counts: new Map(), lastMs: 0 });

export function countError(errors: ClientErrors, what: string): void {
  errors.counts.set(what, (errors.counts.get(what) ?? 0) + 1);
  errors.lastMs = Date.now();
}

export interface LoadOptions {
  /** URLs; a client that gets no answer from one turns to the next. */
  readonly distributors: readonly string[];
  readonly clients: number;
  readonly round: number;
  readonly baseNs: bigint;
  /** Ends the clients whatever was acknowledged. */
  readonly giveUp?: AbortSignal;
}

/**
 * Agents that push without pause and send again, at another distributor, what was not acknowledged. Ends when `signal`
 * says so and everything is acknowledged.
 */
export async function pushUntil(
  signal: AbortSignal,
  options: LoadOptions,
): Promise<{ readonly acknowledged: Batch[]; readonly errors: ClientErrors }> {
  const acknowledged: Batch[] = [];
  const errors = noErrors();
  const client = async (number: number): Promise<void> => {
    const { round } = options;
    let turn = number;
    for (let from = 0; !signal.aborted; from += BATCH_LINES) {
      const batch: Batch = { round, client: number, from, to: from + BATCH_LINES };
      while (!(await push(options, batch, turn, errors))) {
        options.giveUp?.throwIfAborted();
        turn++;
        await sleep(RETRY_MS);
      }
      acknowledged.push(batch);
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: options.clients }, (_, number) => client(number)));
  return { acknowledged, errors };
}

/** Throws when the push is refused for what is in it. */
async function push(options: LoadOptions, batch: Batch, turn: number, errors: ClientErrors): Promise<boolean> {
  const { distributors, baseNs } = options;
  const values: [string, string][] = [];
  for (let n = batch.from; n < batch.to; n++) {
    values.push([String(timestampOf(baseNs, batch, n)), lineOf(batch, n)]);
  }
  const stream = { app: 'crash', round: String(batch.round), client: String(batch.client) };
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`${distributors[turn % distributors.length]}/loki/api/v1/push`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ streams: [{ stream, values }] }),
      signal: AbortSignal.timeout(CLIENT_TIMEOUT_MS),
    });
    text = await answer.text();
  } catch {
    countError(errors, 'no answer');
    return false;
  }
  if (answer.status === 204) return true;
  if (answer.status < 500) throw new Error(`a push was refused with ${answer.status}: ${text}`);
  countError(errors, `${answer.status} ${text.trim().slice(0, 80)}`);
  return false;
}

export interface Settled {
  readonly round: number;
  readonly lines: number;
}

export interface QueryResult {
  readonly errors: ClientErrors;
  answers: number;
  /** Answers that were neither right nor an error. */
  readonly wrong: string[];
}

/** Asks again and again for a round that is not written to any more: each answer must be exact, or be an error. */
export async function queryUntil(
  signal: AbortSignal,
  url: string,
  baseNs: bigint,
  settled: Settled,
): Promise<QueryResult> {
  const result: QueryResult = { errors: noErrors(), answers: 0, wrong: [] };
  const selector = `{app="crash", round="${settled.round}"}`;
  const endNs = baseNs + 7_200_000_000_000n - 1n;
  const counts = new URLSearchParams({ query: `sum(count_over_time(${selector}[2h]))`, time: String(endNs) });
  const newest = new URLSearchParams({ query: selector, start: String(baseNs), end: String(endNs), limit: '1000' });
  const paths = [`/loki/api/v1/query?${counts}`, `/loki/api/v1/query_range?${newest}`];
  for (let turn = 0; !signal.aborted; turn++) {
    const path = paths[turn % paths.length]!;
    try {
      const answer = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(CLIENT_TIMEOUT_MS) });
      const text = await answer.text();
      if (!answer.ok) countError(result.errors, `${answer.status} ${text.trim().slice(0, 80)}`);
      else judge(result, text, settled);
    } catch {
      countError(result.errors, 'no answer');
    }
    await sleep(RETRY_MS);
  }
  return result;
}

interface Answer {
  readonly warnings?: readonly string[];
  readonly data: {
    readonly resultType: string;
    readonly result: readonly { readonly value?: [number, string]; readonly values?: readonly [string, string][] }[];
  };
}

function judge(result: QueryResult, text: string, { lines }: Settled): void {
  const { data, warnings } = JSON.parse(text) as Answer;
  result.answers++;
  if (data.resultType === 'vector') {
    const counted = Number(data.result[0]?.value?.[1] ?? 0);
    if (counted !== lines) result.wrong.push(`counted ${counted} of ${lines} ${warnings ?? ''}`);
    return;
  }
  const found = data.result.flatMap(({ values = [] }) => values.map(([, line]) => line));
  const expected = Math.min(lines, 1000);
  if (found.length !== expected) result.wrong.push(`${found.length} of ${expected} newest lines ${warnings ?? ''}`);
  if (new Set(found).size !== found.length) result.wrong.push('a line stands twice among the newest');
}
