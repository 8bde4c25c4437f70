/** Metadata of a line is its third element. */
export type PushedValue = readonly [ns: string, line: string, metadata?: Readonly<Record<string, string>>];

export interface PushedStream {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly PushedValue[];
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

export interface StreamResult {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [ns: string, line: string, categories?: Categories])[];
}

export interface Categories {
  readonly structuredMetadata?: Readonly<Record<string, string>>;
  readonly parsed?: Readonly<Record<string, string>>;
}

export interface SeriesResult {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [seconds: number, value: string];
  readonly values?: readonly (readonly [seconds: number, value: string])[];
}

export interface QueryData<R> {
  readonly resultType: string;
  readonly encodingFlags?: readonly string[];
  readonly result: readonly R[];
  readonly stats: { readonly summary: Readonly<Record<string, number>> };
}

type Params = Readonly<Record<string, string | number | bigint>>;

/** Talks to a server as an agent and as Grafana do. */
export class TestClient {
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** `token`: what it shows where users are asked for. */
  constructor(url: string, tenant?: string, token?: string) {
    this.url = url;
    this.#headers = {
      ...(tenant !== undefined && { 'X-Scope-OrgID': tenant }),
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    };
  }

  async push(streams: readonly PushedStream[], signal?: AbortSignal): Promise<Answer> {
    return this.send('/loki/api/v1/push', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ streams }),
      ...(signal ? { signal } : {}),
    });
  }

  /** As `push`, for a push that must be taken. */
  async mustPush(streams: readonly PushedStream[]): Promise<void> {
    const { status, text } = await this.push(streams);
    if (status !== 204) throw new Error(`a push was answered ${status} ${text}`);
  }

  get(path: string, params: Params = {}, init: RequestInit = {}): Promise<Answer> {
    return this.send(`${path}?${formOf(params)}`, init);
  }

  /** The form in the body, as Grafana sends long queries. */
  post(path: string, params: Params): Promise<Answer> {
    return this.send(path, { method: 'POST', body: formOf(params) });
  }

  async send(path: string, init: RequestInit): Promise<Answer> {
    const headers = { ...this.#headers, ...(init.headers as Record<string, string> | undefined) };
    const response = await fetch(`${this.url}${path}`, { ...init, headers });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  async json<T>(path: string, params: Params = {}, init: RequestInit = {}): Promise<T> {
    const { status, text } = await this.get(path, params, init);
    if (status !== 200) throw new Error(`${path} was answered ${status} ${text}`);
    return JSON.parse(text) as T;
  }

  async range<R = StreamResult>(params: Params, init: RequestInit = {}): Promise<QueryData<R>> {
    return (await this.json<{ data: QueryData<R> }>('/loki/api/v1/query_range', params, init)).data;
  }

  async instant(params: Params): Promise<QueryData<SeriesResult>> {
    return (await this.json<{ data: QueryData<SeriesResult> }>('/loki/api/v1/query', params)).data;
  }

  /** The one number of an instant query; 0 when its result is empty. */
  async number(params: Params): Promise<number> {
    const { result } = await this.instant(params);
    if (result.length > 1) throw new Error(`${result.length} series where one is wanted`);
    return Number(result[0]?.value?.[1] ?? 0);
  }

  /** The sum of the samples of one metric of `/metrics` whose labels contain all of `labels`. */
  async metric(name: string, labels: readonly string[] = []): Promise<number> {
    const { text } = await this.get('/metrics');
    let sum = 0;
    for (const line of text.split('\n')) {
      const [, sample, set, value] = /^([a-zA-Z_:]+)(\{.*\})? (\S+)$/.exec(line) ?? [];
      if (sample === name && labels.every((label) => set?.includes(label))) sum += Number(value);
    }
    return sum;
  }

  async flush(): Promise<void> {
    const { status, text } = await this.send('/flush', { method: 'POST' });
    if (status !== 204) throw new Error(`/flush was answered ${status} ${text}`);
  }
}

/** All lines of a result in its order of streams. */
export function linesOf(data: QueryData<StreamResult>): string[] {
  return data.result.flatMap(({ values }) => values.map(([, line]) => line));
}

/** Resolves once `check` gives something but false and undefined; rejects after `withinMs`, naming what was awaited. */
export async function until<T>(
  what: string,
  check: () => Promise<T | false | undefined> | T | false | undefined,
  withinMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const value = await check();
    if (value !== false && value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const nowNs = (): bigint => BigInt(Date.now()) * 1_000_000n;

function formOf(params: Params): URLSearchParams {
  return new URLSearchParams(Object.entries(params).map(([name, value]) => [name, String(value)]));
}
