import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type SecureContextOptions, TLSSocket } from 'node:tls';
import type { Registry } from 'prom-client';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Logger } from '../../storage/host/logger.ts';
import { closeReason } from './close-reason.ts';
import { CLIENT_CLOSED_REQUEST, isFaultOfServer, toHttpError } from './error-answers.ts';
import { HttpError } from './http-error.ts';
import { HttpMetrics } from './http-metrics.ts';
import { percentDecode } from './query-string.ts';
import { ServerRequest } from './request.ts';
import { type Match, Router } from './router.ts';
import type { TenancyOptions } from './tenants.ts';
import { createTlsServer, type HttpTls, replaceContext } from './tls.ts';
import type { Gatekeeper, HttpResponse, Route, SocketRoute } from './types.ts';
import { errorResponse, NOT_FOUND, shouldCompress, textResponse, writeResponse } from './write-response.ts';

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly sockets: readonly SocketRoute[];
  /** Path before all routes; '' for none. */
  readonly prefix: string;
  readonly address: string;
  readonly port: number;
  /** Most open connections; 0: no bound. */
  readonly maxConnections: number;
  readonly readTimeoutMs: number;
  readonly readHeaderTimeoutMs: number;
  readonly writeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxFormBytes: number;
  readonly compressResponses: boolean;
  readonly logRequestsAtInfo: boolean;
  readonly tenancy: TenancyOptions;
  /** Without it everybody may call everything. */
  readonly gatekeeper?: Gatekeeper | undefined;
  /** HTTPS instead of HTTP. */
  readonly tls?: HttpTls | undefined;
  readonly registry: Registry;
  readonly logger: Logger;
}

type AnyRoute = { readonly path: string; readonly name: string } & (
  | { readonly methods: Route['methods']; readonly plain: Route; readonly socket?: undefined }
  | { readonly methods: Route['methods']; readonly plain?: undefined; readonly socket: SocketRoute }
);

/** Route label of what matches no route: bounded, whatever clients ask for. */
const NO_ROUTE = 'other';
const MAX_HEADER_BYTES = 1024 * 1024;
/** A frame that clients send on a tail is a control frame or a mistake. */
const MAX_FRAME_BYTES = 64 * 1024;
const CLOSE_GOING_AWAY = 1001;
const CLOSE_INTERNAL_ERROR = 1011;

/** HTTP/1.1: routing, tenants, bounds on what clients may send and how slowly, answers, metrics, graceful stop. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #router: Router<AnyRoute>;
  readonly metrics: HttpMetrics;
  readonly #server: Server;
  readonly #webSockets = new WebSocketServer({ noServer: true, maxPayload: MAX_FRAME_BYTES, perMessageDeflate: false });
  readonly #inFlight = new Set<AbortController>();
  #isStopping = false;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const plain = options.routes.map((route): AnyRoute => ({ ...route, plain: route }));
    const sockets = options.sockets.map((route): AnyRoute => ({ ...route, methods: ['GET'], socket: route }));
    this.#router = new Router([...plain, ...sockets], options.prefix);
    this.metrics = new HttpMetrics(options.registry);
    const serverOptions = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: options.readHeaderTimeoutMs || options.readTimeoutMs,
      requestTimeout: options.readTimeoutMs,
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: 1000,
      noDelay: true,
    };
    this.#server =
      options.tls === undefined ? createServer(serverOptions) : createTlsServer(serverOptions, options.tls);
    if (options.maxConnections > 0) this.#server.maxConnections = options.maxConnections;
    this.#server.on('request', (incoming, outgoing) => void this.#serve(incoming, outgoing));
    this.#server.on('upgrade', (incoming, socket, head) => void this.#upgrade(incoming, socket, head));
    this.#server.on('clientError', (error, socket) => this.#refuseBroken(error, socket));
    const connections = this.metrics.connections.labels('http');
    this.#server.on('connection', (socket) => {
      connections.inc();
      socket.once('close', () => connections.dec());
    });
  }

  /** Resolves with the port once connections are taken. */
  async start(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port: this.#options.port, host: this.#options.address || undefined }, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** New connections are made with this certificate. Only where there is one already. */
  replaceCertificate(context: SecureContextOptions): void {
    replaceContext(this.#server, context);
  }

  /** Takes no new connections and waits for running requests until `deadline` is aborted; then cuts them off. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const socket of this.#webSockets.clients) socket.close(CLOSE_GOING_AWAY, 'server is stopping');
    const cutOff = (): void => {
      for (const abort of this.#inFlight) abort.abort(new HttpError(503, 'the server is stopping'));
      for (const socket of this.#webSockets.clients) socket.terminate();
      this.#server.closeAllConnections();
    };
    if (deadline.aborted) cutOff();
    else deadline.addEventListener('abort', cutOff, { once: true });
    await closed;
    deadline.removeEventListener('abort', cutOff);
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const started = performance.now();
    const method = incoming.method ?? 'GET';
    let routeName = NO_ROUTE;
    let status = 500;
    try {
      const url = splitUrl(incoming.url ?? '/');
      const match = this.#match(method, url.path);
      if (match.kind === 'found') {
        routeName = match.route.name;
        status = await this.#answer(incoming, outgoing, match, url);
      } else {
        const response = unroutedResponse(match, url);
        status = response.status;
        await writeResponse(outgoing, response, { compress: false, writeTimeoutMs: this.#options.writeTimeoutMs });
      }
    } catch (error) {
      this.#options.logger.error('request failed', { method, route: routeName, err: error });
      outgoing.destroy();
    }
    const seconds = (performance.now() - started) / 1000;
    this.metrics.observe(knownMethod(method), routeName, status, false, seconds);
    const log = this.#options.logRequestsAtInfo ? this.#options.logger.info : this.#options.logger.debug;
    log.call(this.#options.logger, 'request', { method, route: routeName, status, duration: `${seconds.toFixed(6)}s` });
  }

  #match(method: string, path: string): Match<AnyRoute> | { readonly kind: 'bad-path' } {
    try {
      return this.#router.match(method, percentDecode(path));
    } catch (error) {
      if (error instanceof HttpError) return { kind: 'bad-path' };
      throw error;
    }
  }

  async #answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    match: Extract<Match<AnyRoute>, { kind: 'found' }>,
    url: SplitUrl,
  ): Promise<number> {
    const { plain } = match.route;
    const auth = plain?.auth ?? 'tenant';
    const abort = new AbortController();
    const request = this.#request(incoming, match, url, abort);
    const metrics = this.metrics.route(knownMethod(incoming.method ?? ''), match.route.name);
    let isGone = false;
    const onClose = (): void => {
      if (outgoing.writableFinished) return;
      isGone = true;
      abort.abort(new HttpError(CLIENT_CLOSED_REQUEST, 'the request was cancelled by the client'));
    };
    outgoing.once('close', onClose);
    this.#inFlight.add(abort);
    metrics.inflight.inc();
    try {
      const response = await this.#respond(request, match.route, auth, () => isGone);
      metrics.received.observe(request.receivedBytes);
      if (isGone) return CLIENT_CLOSED_REQUEST;
      if (this.#isStopping || isTooMuchToDrain(incoming)) outgoing.setHeader('Connection', 'close');
      const size = await writeResponse(outgoing, response, {
        compress:
          plain !== undefined &&
          shouldCompress(plain, request.header('accept-encoding'), this.#options.compressResponses),
        writeTimeoutMs: this.#options.writeTimeoutMs,
      });
      metrics.sent.observe(size);
      return response.status;
    } finally {
      metrics.inflight.dec();
      this.#inFlight.delete(abort);
    }
  }

  /** The handler's answer, or the one that its error becomes. Never rejects. */
  async #respond(
    request: ServerRequest,
    route: AnyRoute,
    auth: Route['auth'],
    isGone: () => boolean,
  ): Promise<HttpResponse> {
    const { plain, socket } = route;
    try {
      await this.#admit(request, route);
      if (auth !== 'none') request.tenants();
    } catch (error) {
      return errorResponse(this.#explain(error, route, isGone()), auth);
    }
    try {
      if (plain !== undefined) return await plain.handler(request);
      // A tail that did not ask for a WebSocket: its parameters are judged first, as Loki does.
      await socket.open(request);
      return textResponse(400, 'Bad Request\n');
    } catch (error) {
      const answer = this.#explain(error, route, isGone());
      return plain?.renderError?.(answer) ?? errorResponse(answer, auth);
    }
  }

  async #admit(request: ServerRequest, route: AnyRoute): Promise<void> {
    const { gatekeeper } = this.#options;
    if (gatekeeper === undefined) return;
    const target = { route: route.name, method: request.method, auth: route.plain?.auth ?? 'tenant' };
    request.caller = await gatekeeper.admit(request.header('authorization'), target);
    // Who went away meanwhile sends no more body that could be waited for.
    request.signal.throwIfAborted();
  }

  #explain(error: unknown, route: AnyRoute, isGone: boolean): HttpError {
    const answer = toHttpError(error, isGone);
    if (isFaultOfServer(answer)) {
      this.#options.logger.error('request failed', {
        route: route.name,
        status: answer.status,
        err: answer.cause ?? answer,
      });
    }
    return answer;
  }

  #request(
    incoming: IncomingMessage,
    match: Extract<Match<AnyRoute>, { kind: 'found' }>,
    url: SplitUrl,
    abort: AbortController,
  ): ServerRequest {
    return new ServerRequest({
      incoming,
      path: url.path,
      search: url.search,
      params: match.params,
      auth: match.route.plain?.auth ?? 'tenant',
      tenancy: this.#options.tenancy,
      maxFormBytes: this.#options.maxFormBytes,
      abort,
    });
  }

  async #upgrade(incoming: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const started = performance.now();
    // Until the socket is a WebSocket, nobody else listens: a broken connection must not end the process.
    socket.on('error', (error) => this.#options.logger.debug('connection broke before its upgrade', { err: error }));
    const url = splitUrl(incoming.url ?? '/');
    const match = this.#match(incoming.method ?? 'GET', url.path);
    const route = match.kind === 'found' ? match.route : undefined;
    const abort = new AbortController();
    const finish = (status: number): void => {
      const seconds = (performance.now() - started) / 1000;
      this.metrics.observe(knownMethod(incoming.method ?? ''), route?.name ?? NO_ROUTE, status, true, seconds);
    };
    if (match.kind !== 'found' || route?.socket === undefined || this.#isStopping) {
      const response = match.kind === 'found' ? textResponse(400, 'Bad Request\n') : unroutedResponse(match, url);
      writeRaw(socket, response);
      finish(response.status);
      return;
    }
    socket.once('close', () => abort.abort(new Error('the client hung up')));
    try {
      const request = this.#request(incoming, match, url, abort);
      await this.#admit(request, match.route);
      request.tenants();
      const run = await route.socket.open(request);
      this.#webSockets.handleUpgrade(incoming, socket, head, (webSocket: WebSocket) => {
        webSocket.on('error', (error) => this.#options.logger.debug('tail broke', { err: error }));
        webSocket.once('close', () => {
          abort.abort(new Error('the socket was closed'));
          finish(101);
        });
        try {
          run(webSocket);
        } catch (error) {
          // The upgrade is out: the close frame is the only answer left.
          webSocket.close(CLOSE_INTERNAL_ERROR, closeReason(this.#explain(error, match.route, false).message));
        }
      });
    } catch (error) {
      const response = errorResponse(this.#explain(error, route, abort.signal.aborted), 'tenant');
      writeRaw(socket, response);
      finish(response.status);
    }
  }

  #refuseBroken(error: NodeJS.ErrnoException, socket: Duplex): void {
    const isTlsTrouble = socket instanceof TLSSocket && !/^(HPE_|ERR_HTTP_)/.test(error.code ?? '');
    if (!socket.writable || error.code === 'ECONNRESET' || isTlsTrouble) {
      socket.destroy();
      return;
    }
    const status = error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
    writeRaw(socket, textResponse(status, `${status} ${STATUS_CODES[status]}`));
  }
}

/** An unread body up to here is read and dropped to keep the connection: a client that is still sending would not see the answer. */
const MAX_DRAIN_BYTES = 256 * 1024 * 1024;

function isTooMuchToDrain(incoming: IncomingMessage): boolean {
  if (incoming.complete) return false;
  const announced = incoming.headers['content-length'];
  if (announced !== undefined) return Number(announced) > MAX_DRAIN_BYTES;
  return incoming.headers['transfer-encoding'] !== undefined;
}

interface SplitUrl {
  readonly path: string;
  readonly search: string;
}

/** Path and query string of a request line; a full URL, as proxies send it, counts from its path. */
function splitUrl(url: string): SplitUrl {
  const target = /^https?:\/\/[^/?]*/i.test(url) ? url.replace(/^https?:\/\/[^/?]*/i, '') || '/' : url;
  const question = target.indexOf('?');
  return question < 0
    ? { path: target, search: '' }
    : { path: target.slice(0, question), search: target.slice(question + 1) };
}

function unroutedResponse(
  match: Exclude<Match<AnyRoute>, { kind: 'found' }> | { readonly kind: 'bad-path' },
  url: SplitUrl,
): HttpResponse {
  switch (match.kind) {
    case 'redirect': {
      const path = match.path.split('/').map(encodeURIComponent).join('/');
      return { status: 301, headers: { Location: url.search === '' ? path : `${path}?${url.search}` } };
    }
    case 'wrong-method':
      return { status: 405 };
    case 'bad-path':
      return textResponse(400, '400 Bad Request');
    case 'unknown':
      return NOT_FOUND;
    default:
      throw new Error(`no answer for ${JSON.stringify(match satisfies never)}`);
  }
}

/** An answer on a socket that Node's HTTP has let go of. */
function writeRaw(socket: Duplex, response: HttpResponse): void {
  const body = Buffer.from((response.body as string | undefined) ?? '', 'utf8');
  const headers = { ...response.headers, 'Content-Length': String(body.length), Connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${response.status} ${STATUS_CODES[response.status] ?? ''}\r\n${lines.join('')}\r\n`;
  socket.end(Buffer.concat([Buffer.from(head, 'latin1'), body]));
}

const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS']);
/** Method label: bounded, whatever clients send. */
const knownMethod = (method: string): string => (METHODS.has(method) ? method : 'other');
