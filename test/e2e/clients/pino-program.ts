/** A program that logs with pino and sends with pino-loki from a worker thread, as its readme shows: `node pino-program.ts <url>`. */
import { once } from 'node:events';
import pino from 'pino';
import type { LokiOptions } from 'pino-loki';

const transport = pino.transport<LokiOptions>({
  target: 'pino-loki',
  options: {
    host: process.argv[2]!,
    labels: { app: 'pino-client' },
    propsToLabels: ['region'],
    batching: { interval: 1 },
  },
});
const logger = pino({ level: 'debug' }, transport);
for (let n = 0; n < 120; n++) logger.info({ n }, `line ${n}`);
logger.debug('a "quoted" text\nwith two lines');
logger.warn({ region: 'eu' }, 'Grüße aus Köln 🌍');
logger.error({ err: new Error('no stock'), meta: { trace_id: 'a1', items: [1, 2] } }, 'order failed');
logger.fatal({ meta: { level: 'custom' } }, 'the end');
logger.flush();
transport.end();
await once(transport, 'close');
