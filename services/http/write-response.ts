import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HttpError } from './http-error.ts';
import type { HttpResponse, Route, RouteAuth } from './types.ts';

const gzipAsync = promisify(gzip);
/** Smaller answers gain nothing from gzip. */
const MIN_GZIP_BYTES = 1024;

export const NOT_FOUND: HttpResponse = textResponse(404, '404 page not found\n');

export function textResponse(status: number, text: string): HttpResponse {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
    body: text,
  };
}

/** An error as text; on the query path as it is, elsewhere ended by a newline, as Loki writes them. */
export function errorResponse(error: HttpError, auth: RouteAuth): HttpResponse {
  const isWhole = auth === 'tenants' || error.message.endsWith('\n');
  const response = textResponse(error.status, isWhole ? error.message : `${error.message}\n`);
  return { ...response, headers: { ...response.headers, ...error.headers } };
}

/** JSON as Loki's query endpoints write it. */
export function jsonResponse(value: unknown, status = 200): HttpResponse {
  return {
    status,
    headers: { 'Content-Type': 'application/json; charset=UTF-8' },
    body: `${JSON.stringify(value)}\n`,
  };
}

/** Whether `Accept-Encoding` takes gzip: named, or `*`, and not with `q=0`. */
export function acceptsGzip(acceptEncoding: string): boolean {
  for (const part of acceptEncoding.split(',')) {
    const [coding, ...parameters] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    if (coding !== 'gzip' && coding !== '*') continue;
    return !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  }
  return false;
}

export interface WriteOptions {
  readonly compress: boolean;
  /** How long the client may leave the answer unread; 0: for ever. */
  readonly writeTimeoutMs: number;
}

/** Sends `response` and resolves with the size of the body once it is handed over, or the client is gone. */
export async function writeResponse(
  to: ServerResponse,
  response: HttpResponse,
  options: WriteOptions,
): Promise<number> {
  const { body } = response;
  // Counts while nothing moves: a client that reads slowly is fine, one that does not read is cut off.
  if (options.writeTimeoutMs > 0) to.setTimeout(options.writeTimeoutMs, () => to.destroy());
  const headers: Record<string, string> = { ...response.headers };
  if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) {
    return await writeStream(to, response.status, headers, body);
  }
  let bytes: string | Uint8Array = body ?? '';
  if (options.compress && bytes.length >= MIN_GZIP_BYTES) {
    bytes = await gzipAsync(bytes);
    headers['Content-Encoding'] = 'gzip';
    headers['Vary'] = 'Accept-Encoding';
  }
  const size = Buffer.byteLength(bytes);
  if (response.status !== 204 && response.status !== 304) headers['Content-Length'] = String(size);
  to.writeHead(response.status, headers);
  to.end(bytes);
  return size;
}

async function writeStream(
  to: ServerResponse,
  status: number,
  headers: Record<string, string>,
  chunks: AsyncIterable<Uint8Array>,
): Promise<number> {
  let size = 0;
  to.writeHead(status, headers);
  const gone = new AbortController();
  to.once('close', () => gone.abort());
  try {
    for await (const chunk of chunks) {
      if (to.destroyed) return size;
      size += chunk.length;
      if (!to.write(chunk)) await once(to, 'drain', { signal: gone.signal });
    }
  } catch (error) {
    if (gone.signal.aborted) return size;
    // Headers are out: breaking the connection is the only way left to say that the answer is not whole.
    to.destroy();
    throw error;
  }
  to.end();
  return size;
}

export function shouldCompress(route: Route, acceptEncoding: string, compressConfigured: boolean): boolean {
  if (route.compress === undefined || (route.compress === 'configured' && !compressConfigured)) return false;
  return acceptsGzip(acceptEncoding);
}
