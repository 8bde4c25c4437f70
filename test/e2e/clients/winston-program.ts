/** A program that logs with winston and sends with winston-loki: `node winston-program.ts <url> <proto|json>`. */
import winston from 'winston';
import LokiTransport from 'winston-loki';

const [, , host, form] = process.argv;
const transport = new LokiTransport({
  host: host!,
  labels: { app: `winston-${form}` },
  json: form === 'json',
  interval: 1,
  replaceTimestamp: false,
  onConnectionError: (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  },
});
const logger = winston.createLogger({ level: 'debug', transports: [transport] });
for (let n = 0; n < 120; n++) logger.info(`line ${n}`);
logger.warn('Grüße aus Köln 🌍', { labels: { region: 'eu' } });
logger.error('order failed', { trace_id: 'a1', app: 'not the label' });
await transport.flush();
logger.close();
