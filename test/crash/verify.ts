import { type Batch, lineOf } from './writer.ts';

const PAGE = 5000;
/** More than a run can last; timestamps start where it starts. */
const RANGE_NS = 2n * 3600n * 1_000_000_000n;

export interface Expected {
  readonly acknowledged: readonly Batch[];
  /** Lines that may be missing, but not be there twice. */
  readonly open: readonly Batch[];
}

/** Lines are not there, or more than once. */
export class WrongLinesError extends Error {
  readonly lost: number;
  readonly doubled: number;
  constructor(lost: number, doubled: number, message: string) {
    super(message);
    this.lost = lost;
    this.doubled = doubled;
  }
}

/** Throws when an acknowledged line of the round is missing, or any line is there twice, or one nobody wrote. */
export async function verifyRound(url: string, baseNs: bigint, round: number, expected: Expected): Promise<number> {
  const found = await linesOf(url, baseNs, `{app="crash", round="${round}"}`);
  const must = linesIn(expected.acknowledged);
  const may = linesIn(expected.open);
  const missing = must
    .keys()
    .filter((line) => !found.has(line))
    .toArray();
  const twice = found
    .entries()
    .filter(([, count]) => count > 1)
    .map(([line]) => line)
    .toArray();
  const unknown = found
    .keys()
    .filter((line) => !must.has(line) && !may.has(line))
    .toArray();
  if (missing.length + twice.length + unknown.length > 0) {
    throw new WrongLinesError(
      missing.length,
      twice.length,
      `round ${round}: ${missing.length} acknowledged lines missing, ${twice.length} twice, ${unknown.length} unknown of ${found.size} (${must.size} acknowledged); ` +
        `first of each: ${[missing[0], twice[0], unknown[0]].map((line) => line ?? '-').join(' | ')}`,
    );
  }
  const counted = await countOf(url, baseNs, `{app="crash", round="${round}"}`);
  if (counted !== found.size)
    throw new Error(`round ${round}: count_over_time says ${counted}, there are ${found.size} lines`);
  return found.size;
}

function linesIn(batches: readonly Batch[]): Set<string> {
  const lines = new Set<string>();
  for (const batch of batches) for (let n = batch.from; n < batch.to; n++) lines.add(lineOf(batch, n));
  return lines;
}

async function linesOf(url: string, baseNs: bigint, selector: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  // Clients share timestamps, so pages are cut within one client's stream, where they are distinct.
  const clients = await get<{ data?: string[] }>(url, '/loki/api/v1/label/client/values', {
    query: selector,
    start: baseNs,
    end: baseNs + RANGE_NS,
  });
  for (const client of clients.data ?? []) {
    for (let start = baseNs; ; ) {
      const { data } = await get<{ data: { result: { values: [string, string][] }[] } }>(
        url,
        '/loki/api/v1/query_range',
        {
          query: selector.replace('}', `, client="${client}"}`),
          start,
          end: baseNs + RANGE_NS,
          limit: PAGE,
          direction: 'forward',
        },
      );
      const values = data.result.flatMap((stream) => stream.values);
      for (const [, line] of values) found.set(line, (found.get(line) ?? 0) + 1);
      if (values.length < PAGE) break;
      start = values.reduce((max, [ns]) => (BigInt(ns) > max ? BigInt(ns) : max), 0n) + 1n;
    }
  }
  return found;
}

async function countOf(url: string, baseNs: bigint, selector: string): Promise<number> {
  const { data } = await get<{ data: { result: { value: [number, string] }[] } }>(url, '/loki/api/v1/query', {
    query: `sum(count_over_time(${selector}[2h]))`,
    time: baseNs + RANGE_NS - 1n,
  });
  return Number(data.result[0]?.value[1] ?? 0);
}

async function get<T>(url: string, path: string, params: Readonly<Record<string, unknown>>): Promise<T> {
  const query = new URLSearchParams(Object.entries(params).map(([key, value]) => [key, String(value)]));
  const answer = await fetch(`${url}${path}?${query}`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return JSON.parse(text) as T;
}
