import { HttpError } from './http-error.ts';
import type { HttpRequest, HttpResponse, Route } from './types.ts';
import { textResponse } from './write-response.ts';

/** What the endpoints of an ingester need of it. */
export interface IngesterControl {
  /** Stores everything that is in memory. */
  flush(): Promise<void>;
  /** Whether the next stop stores everything and leaves the ring. The mark survives a restart. */
  isShutdownPrepared(): Promise<boolean>;
  prepareShutdown(prepared: boolean): Promise<void>;
  /** Takes no more pushes; stores what it has when `flush` is set. */
  shutdown(flush: boolean): Promise<void>;
  readonly isStopping: () => boolean;
  /** Ends the process, once the answer is out. */
  terminate(): void;
}

const DONE: HttpResponse = { status: 204 };

/** A caller of `/flush` gets an answer by then, whatever the object store does. */
const FLUSH_ANSWER_MS = 60_000;

export function ingesterRoutes(ingester: IngesterControl, flushAnswerMs: number = FLUSH_ANSWER_MS): Route[] {
  const flush = async (): Promise<HttpResponse> => {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(
        new HttpError(503, 'not everything is stored yet: the object store may be unavailable; trying goes on'),
      );
    }, flushAnswerMs);
    try {
      await Promise.race([ingester.flush(), late.promise]);
    } finally {
      clearTimeout(timer);
    }
    return DONE;
  };
  const prepare = (prepared: boolean) => async (): Promise<HttpResponse> => {
    await ingester.prepareShutdown(prepared);
    return DONE;
  };
  const path = '/ingester/prepare_shutdown';
  const name = 'ingester_prepare_shutdown';
  return [
    { methods: ['GET', 'POST'], path: '/flush', name: 'flush', auth: 'none', handler: flush },
    {
      methods: ['GET'],
      path,
      name,
      auth: 'none',
      handler: async () => textResponse(200, (await ingester.isShutdownPrepared()) ? 'set' : 'unset'),
    },
    { methods: ['POST'], path, name, auth: 'none', handler: prepare(true) },
    { methods: ['DELETE'], path, name, auth: 'none', handler: prepare(false) },
    {
      methods: ['GET', 'POST'],
      path: '/ingester/shutdown',
      name: 'ingester_shutdown',
      auth: 'none',
      handler: (request) => shutdown(ingester, request),
    },
  ];
}

async function shutdown(ingester: IngesterControl, request: HttpRequest): Promise<HttpResponse> {
  if (ingester.isStopping()) throw new HttpError(503, 'Ingester is stopping or already stopped.');
  const form = await request.form();
  const isOn = (name: string, standing: boolean): boolean => {
    const value = form.get(name);
    return value === null || value === '' ? standing : /^(true|1|t)$/i.test(value);
  };
  await ingester.shutdown(isOn('flush', true));
  if (isOn('terminate', true)) setImmediate(() => ingester.terminate());
  return DONE;
}
