import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { HttpError } from './http-error.ts';
import { parseQueryString } from './query-string.ts';
import { resolveTenants, type TenancyOptions } from './tenants.ts';
import type { Caller, HttpRequest, RouteAuth, Tenants } from './types.ts';

export interface RequestOptions {
  readonly incoming: IncomingMessage;
  readonly path: string;
  readonly search: string;
  readonly params: Readonly<Record<string, string>>;
  readonly auth: RouteAuth;
  readonly tenancy: TenancyOptions;
  readonly maxFormBytes: number;
  readonly abort: AbortController;
}

const FORM_METHODS = new Set(['POST', 'PUT', 'PATCH']);

/** `HttpRequest` over Node's. Everything that costs is done when it is first asked for. */
export class ServerRequest implements HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly url: string;
  readonly params: Readonly<Record<string, string>>;
  readonly headers: IncomingHttpHeaders;
  readonly #options: RequestOptions;
  #query: URLSearchParams | undefined;
  #tenants: Tenants | undefined;
  /** Set before a handler sees the request; undefined where callers have no names. */
  caller: Caller | undefined;
  /** Body bytes as they came, for the metrics. */
  receivedBytes = 0;

  constructor(options: RequestOptions) {
    this.#options = options;
    this.method = options.incoming.method ?? 'GET';
    this.url = options.incoming.url ?? '/';
    this.path = options.path;
    this.params = options.params;
    this.headers = options.incoming.headers;
  }

  get signal(): AbortSignal {
    return this.#options.abort.signal;
  }

  get query(): URLSearchParams {
    this.#query ??= parseQueryString(this.#options.search);
    return this.#query;
  }

  async form(): Promise<URLSearchParams> {
    const type = this.header('content-type').split(';')[0]!.trim().toLowerCase();
    if (!FORM_METHODS.has(this.method) || type !== 'application/x-www-form-urlencoded') return this.query;
    const body = await this.body(this.#options.maxFormBytes);
    const merged = parseQueryString(body.toString('utf8'));
    for (const [name, value] of this.query) merged.append(name, value);
    return merged;
  }

  header(name: string): string {
    const value = this.headers[name];
    return Array.isArray(value) ? value.join(', ') : (value ?? '');
  }

  tenant(): string {
    return this.tenants().ids[0]!;
  }

  tenants(): Tenants {
    const { auth, tenancy } = this.#options;
    // A handler without a tenant of its own may still ask for one, and then gets one.
    this.#tenants ??= resolveTenants(
      this.header('x-scope-orgid'),
      auth === 'none' ? 'tenant' : auth,
      tenancy,
      this.caller,
    );
    return this.#tenants;
  }

  async body(
    limitBytes: number,
    tooLarge: (sizeBytes: number, limitBytes: number) => string = plainTooLarge,
  ): Promise<Buffer> {
    const { incoming } = this.#options;
    const announced = Number(this.headers['content-length'] ?? 0);
    if (announced > limitBytes) throw new HttpError(413, tooLarge(announced, limitBytes));
    const chunks: Buffer[] = [];
    let size = 0;
    // Not `for await`: leaving that early would destroy the socket before the answer is out.
    await new Promise<void>((resolve, reject) => {
      const onData = (chunk: Buffer): void => {
        size += chunk.length;
        this.receivedBytes = size;
        if (size <= limitBytes) chunks.push(chunk);
        else done(new HttpError(413, tooLarge(size, limitBytes)));
      };
      const onEnd = (): void => done();
      const onBroken = (cause?: Error): void => done(new HttpError(400, 'the request body ended early', { cause }));
      const done = (error?: HttpError): void => {
        incoming.off('data', onData).off('end', onEnd).off('error', onBroken).off('close', onBroken);
        if (error === undefined) resolve();
        else reject(error);
      };
      incoming.on('data', onData).on('end', onEnd).on('error', onBroken).on('close', onBroken);
    });
    return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
  }
}

const plainTooLarge = (): string => 'http: request body too large';
