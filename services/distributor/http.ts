import { HttpError } from '../http/http-error.ts';
import type { HttpRequest, HttpResponse, Route } from '../http/types.ts';
import { PushError } from './push-error.ts';
import type { Distributor, PushRequest } from './service.ts';

/** The routes on which lines come in. */
export function pushRoutes(distributor: Distributor): readonly Route[] {
  const route = (path: string, name: string, format: PushRequest['format']): Route => ({
    methods: ['POST'],
    path,
    name,
    auth: 'tenant',
    handler: (request) => handlePush(distributor, request, format),
  });
  return [route('/loki/api/v1/push', 'loki_api_v1_push', 'loki'), route('/api/prom/push', 'api_prom_push', 'legacy')];
}

/** Answers 204, or throws HttpError with Loki's status and text; the server ends the text with a newline. */
async function handlePush(
  distributor: Distributor,
  request: HttpRequest,
  format: PushRequest['format'],
): Promise<HttpResponse> {
  const tenant = request.tenant();
  try {
    // A body of unknown length (chunked) is counted once it is here.
    const announced = Number(request.header('content-length'));
    using admission = distributor.admit(
      Number.isFinite(announced) ? Math.min(announced, distributor.maxReceivedBytes) : 0,
    );
    const body = await request.body(
      distributor.maxReceivedBytes,
      (size, limit) => `request body too large: message size too large than max (${size} vs ${limit})`,
    );
    if (!Number.isFinite(announced) || announced === 0) admission.grow(body.length);
    await distributor.push(
      {
        tenant,
        contentType: request.header('content-type'),
        contentEncoding: request.header('content-encoding'),
        body,
        format,
        admission,
      },
      request.signal,
    );
  } catch (error: unknown) {
    if (error instanceof PushError) throw new HttpError(error.status, error.message, { cause: error });
    throw error;
  }
  return { status: 204 };
}
