import { HttpError } from '../http/http-error.ts';
import type { HttpRequest, HttpResponse, Route } from '../http/types.ts';
import { PushError } from './push-error.ts';
import type { Distributor, OtlpPushRequest, PushRequest } from './service.ts';

/** The routes on which lines come in. */
export function pushRoutes(distributor: Distributor): readonly Route[] {
  const route = (path: string, name: string, format: PushRequest['format']): Route => ({
    methods: ['POST'],
    path,
    name,
    auth: 'tenant',
    handler: (request) => handlePush(distributor, request, format),
  });
  return [
    route('/loki/api/v1/push', 'loki_api_v1_push', 'loki'),
    route('/api/prom/push', 'api_prom_push', 'legacy'),
    {
      methods: ['POST'],
      path: '/otlp/v1/logs',
      name: 'otlp_v1_logs',
      auth: 'none', // the handler asks for the tenant: its refusals have a form of their own
      handler: (request) => handleOtlp(distributor, request),
    },
  ];
}

/** Answers 204, or throws HttpError with Loki's status and text; the server ends the text with a newline. */
async function handlePush(
  distributor: Distributor,
  request: HttpRequest,
  format: PushRequest['format'],
): Promise<HttpResponse> {
  const tenant = request.tenant();
  try {
    using sent = await receive(distributor, request);
    await distributor.push({ tenant, ...sent.push, format }, request.signal);
  } catch (error: unknown) {
    if (error instanceof PushError) throw new HttpError(error.status, error.message, { cause: error });
    throw error;
  }
  return { status: 204 };
}

/** Answers 204, or the status of a refusal with a `google.rpc.Status` as body, as Loki does; only 401 comes as text. */
async function handleOtlp(distributor: Distributor, request: HttpRequest): Promise<HttpResponse> {
  try {
    const tenant = request.tenant();
    using sent = await receive(distributor, request);
    await distributor.pushOtlp({ tenant, ...sent.push }, request.signal);
    return { status: 204 };
  } catch (error: unknown) {
    if (error instanceof PushError) return otlpRefusal(error.status, error.message);
    if (error instanceof HttpError && error.status !== 401) return otlpRefusal(error.status, error.message);
    throw error;
  }
}

/** What is common to pushes; disposing gives the room for the body back. */
async function receive(
  distributor: Distributor,
  request: HttpRequest,
): Promise<{ readonly push: Omit<OtlpPushRequest, 'tenant'> } & Disposable> {
  // A body of unknown length (chunked) is counted once it is here.
  const announced = Number(request.header('content-length'));
  const admission = distributor.admit(
    Number.isFinite(announced) ? Math.min(announced, distributor.maxReceivedBytes) : 0,
  );
  try {
    const body = await request.body(
      distributor.maxReceivedBytes,
      (size, limit) => `request body too large: message size too large than max (${size} vs ${limit})`,
    );
    if (!Number.isFinite(announced) || announced === 0) admission.grow(body.length);
    const [contentType, contentEncoding] = [request.header('content-type'), request.header('content-encoding')];
    return {
      push: { contentType, contentEncoding, body, admission },
      [Symbol.dispose]: () => admission[Symbol.dispose](),
    };
  } catch (error: unknown) {
    admission[Symbol.dispose]();
    throw error;
  }
}

/** Clients of OTLP give up on 500 and come back on 503. */
function otlpRefusal(status: number, message: string): HttpResponse {
  const text = Buffer.from(message.toWellFormed());
  const length: number[] = [];
  let rest = text.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return {
    status: status === 500 ? 503 : status,
    headers: { 'Content-Type': 'application/octet-stream' },
    // google.rpc.Status with nothing but `message`, field 2.
    body: text.length === 0 ? new Uint8Array(0) : Buffer.concat([Buffer.from([0x12, ...length, rest]), text]),
  };
}
