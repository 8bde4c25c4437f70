import type { IncomingHttpHeaders } from 'node:http';
import type { WebSocket } from 'ws';
import type { HttpError } from './http-error.ts';

/** One request as a handler sees it. Handlers answer with an `HttpResponse` or throw; they never touch a socket. */
export interface HttpRequest {
  readonly method: string;
  /** Path without prefix and query string, escapes decoded. */
  readonly path: string;
  /** Path and query string as sent. */
  readonly url: string;
  /** Variables of the route's path (`{name}`), decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Parameters of the URL only. Throws HttpError 400 with Go's text where Go refuses the query string. */
  readonly query: URLSearchParams;
  /** Lower-case names. */
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client hangs up, and when the server stops waiting for requests. */
  readonly signal: AbortSignal;
  /**
   * Parameters of a query: those of the URL, and for POST, PUT and PATCH with a form body those of the body before
   * them, so that `get` gives the body's value first. Throws HttpError 400 or 413.
   */
  form(): Promise<URLSearchParams>;
  /** Header `name` (lower case) as one text; `''` when it is absent. */
  header(name: string): string;
  /** The only tenant of the request. Throws HttpError 401 or 400. `fake` when authentication is off. */
  tenant(): string;
  /** The tenants of a read (`a|b`), where more than one is allowed by `querier.multi_tenant_queries_enabled`. */
  tenants(): Tenants;
  /**
   * The whole body as sent (still compressed). Stops reading and throws HttpError 413 beyond `limitBytes`; `tooLarge`
   * makes the text from the size seen so far or announced.
   */
  body(limitBytes: number, tooLarge?: (sizeBytes: number, limitBytes: number) => string): Promise<Buffer>;
}

export interface Tenants {
  /** Sorted, distinct, not empty. */
  readonly ids: readonly string[];
  /** True when the header named several: results then carry `__tenant_id__`, even if only one of them is left. */
  readonly federated: boolean;
}

export interface HttpResponse {
  readonly status: number;
  /** `Content-Length` and `Date` are set by the server. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Text is sent as UTF-8. An iterable is sent in chunks and ended early when the client hangs up. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
}

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'HEAD';

/**
 * Who may call a route.
 * `tenant`: exactly one tenant must be named. `tenants`: a read of one or several tenants; its errors have no newline
 * at the end, as Loki's query path writes them. `none`: no tenant needed.
 */
export type RouteAuth = 'tenant' | 'tenants' | 'none';

export interface Route {
  readonly methods: readonly HttpMethod[];
  /** `/loki/api/v1/label/{name}/values`; matched exactly, a variable is one non-empty part. */
  readonly path: string;
  /** Label `route` of the metrics: `loki_api_v1_label_name_values`. */
  readonly name: string;
  readonly auth: RouteAuth;
  /** Gzip towards clients that accept it: always, or when `frontend.compress_responses` says so. Default: never. */
  readonly compress?: 'always' | 'configured';
  /** How errors of this route look; default: text, status and message of the error. */
  readonly renderError?: (error: HttpError) => HttpResponse;
  readonly handler: (request: HttpRequest) => Promise<HttpResponse> | HttpResponse;
}

/** Whoever sends a request, where callers have names. */
export interface Caller {
  /** The tenant when the request names none; '' where the caller has several. */
  readonly onlyTenant: string;
  mayUse(tenant: string): boolean;
}

export interface AccessTarget {
  /** Name of the route. */
  readonly route: string;
  readonly method: string;
  readonly auth: RouteAuth;
}

/** Decides who may call what. */
export interface Gatekeeper {
  /**
   * The caller by the header `Authorization` ('' when there is none), undefined where none is asked for. Rejects with
   * HttpError 401 or 403.
   */
  admit(authorization: string, target: AccessTarget): Promise<Caller | undefined>;
}

/** A route that becomes a WebSocket. */
export interface SocketRoute {
  readonly path: string;
  readonly name: string;
  /**
   * Checks the request (throws HttpError for a plain answer before the upgrade) and returns what to run on the open
   * socket. `request.signal` is aborted when the socket closes or the server stops.
   */
  readonly open: (request: HttpRequest) => Promise<(socket: WebSocket) => void>;
}
