import { type DestinationStream, type Logger as Pino, pino, stdSerializers } from 'pino';
import type { LogFields, Logger } from '../../storage/host/logger.ts';
import { formatLogfmt } from './logfmt.ts';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly format: 'logfmt' | 'json';
  readonly level: LogLevel;
  /** Takes whole lines; by default standard error, written at once so that nothing is lost when the program dies. */
  readonly write?: (line: string) => void;
}

/** The program's log: one line an event on standard error. Its level can be changed while it runs. */
export class ProgramLog {
  readonly logger: Logger;
  readonly #level: LevelHolder;

  constructor(options: LogOptions) {
    const write = options.write ?? ((line: string) => void process.stderr.write(line));
    const destination: DestinationStream =
      options.format === 'json' ? { write } : { write: (line) => write(formatLogfmt(JSON.parse(line))) };
    // Every level passes pino; ours decides, so that children follow a change as well.
    this.#level = { level: options.level };
    const root = pino(
      {
        level: 'trace',
        base: null,
        messageKey: 'msg',
        timestamp: () => `,"ts":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { err: stdSerializers.err },
      },
      destination,
    );
    this.logger = new PinoLogger(root, this.#level);
  }

  get level(): LogLevel {
    return this.#level.level;
  }

  setLevel(level: LogLevel): void {
    this.#level.level = level;
  }
}

interface LevelHolder {
  level: LogLevel;
}

class PinoLogger implements Logger {
  readonly #pino: Pino;
  readonly #holder: LevelHolder;

  constructor(pinoLogger: Pino, holder: LevelHolder) {
    this.#pino = pinoLogger;
    this.#holder = holder;
  }

  debug(message: string, fields?: LogFields): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#log('error', message, fields);
  }

  child(fields: LogFields): Logger {
    return new PinoLogger(this.#pino.child(fields), this.#holder);
  }

  #log(level: LogLevel, message: string, fields: LogFields | undefined): void {
    if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.#holder.level)) return;
    if (fields === undefined) this.#pino[level](message);
    else this.#pino[level](fields, message);
  }
}
