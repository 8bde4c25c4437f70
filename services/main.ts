import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { systemClock } from '../storage/host/clock.ts';
import { hashPassword } from './access/password-hash.ts';
import type { App } from './app/app.ts';
import {
  ConfigError,
  directoriesOf,
  GROUPS,
  helpText,
  type LoadedConfig,
  loadConfig,
  presentValue,
  printConfig,
  readVersion,
  SERVICES,
} from './config/index.ts';
import { type LogLevel, ProgramLog } from './log/index.ts';

/** One Ctrl-C reaches the program from the terminal and from whatever started it; repeats of a moment are one. */
const SAME_SIGNAL_MS = 1000;
const HEALTH_TIMEOUT_MS = 10_000;

async function main(args: readonly string[]): Promise<void> {
  const version = readVersion();
  let loaded: LoadedConfig;
  try {
    loaded = loadConfig(args, { environment: process.env });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // These answer whatever else is wrong.
    if (args.some((arg) => /^--?(h|help)$/.test(arg))) return print(helpText(presentValue));
    process.stderr.write(`loptr: the configuration is wrong:\n${error.problems.map((line) => `  ${line}\n`).join('')}`);
    process.exitCode = 1;
    return;
  }
  const { config, commandLine, warnings, file } = loaded;
  const { switches } = commandLine;
  if (switches.help) return print(helpText(presentValue));
  if (switches.version) return print(`loptr ${[version.version, version.revision].filter(Boolean).join(' ')}\n`);
  if (switches.listTargets) return print([...Object.keys(GROUPS), ...SERVICES].map((name) => `${name}\n`).join(''));
  if (switches.hashPassword) return hashFromInput();
  if (switches.health) return askHealth(switches.healthUrl);
  if (switches.printConfig) process.stderr.write(printConfig(config));

  const log = new ProgramLog({
    format: config.server.log_format as 'logfmt' | 'json',
    level: config.server.log_level as LogLevel,
  });
  for (const warning of warnings) log.logger.warn(warning);
  if (switches.verifyConfig) {
    log.logger.info('config is valid');
    return;
  }
  // The switches above answer without the weight of everything else.
  const { App } = await import('./app/app.ts');
  const app = new App({
    config,
    version,
    log,
    clock: systemClock,
    terminate: () => process.kill(process.pid, 'SIGTERM'),
  });
  stopOnSignals(app, config.server.graceful_shutdown_timeout, log);
  process.on('uncaughtException', (error) => {
    log.logger.error('uncaught error, the program ends', { err: error });
    process.exit(1);
  });
  try {
    const { http, grpc } = await app.start();
    log.logger.info('ready', {
      version: version.version,
      config: file ?? 'defaults',
      push: `${http}/loki/api/v1/push`,
      query: `${http}/loki/api/v1/query_range`,
      grpc,
      data: directoriesOf(config).base,
    });
  } catch (error) {
    log.logger.error('cannot start', { err: error });
    process.exit(1);
  }
}

function stopOnSignals(app: App, timeoutMs: number, log: ProgramLog): void {
  let firstAtMs: number | undefined;
  const onSignal = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const nowMs = performance.now();
    if (firstAtMs !== undefined) {
      if (nowMs - firstAtMs < SAME_SIGNAL_MS) return;
      log.logger.warn('second signal, the program ends at once; the write-ahead log keeps what is not stored', {
        signal,
      });
      process.exit(128 + constants.signals[signal]);
    }
    firstAtMs = nowMs;
    if (!app.isRunning) {
      log.logger.info('stopped before it was ready', { signal });
      process.exit(0);
    }
    log.logger.info('stopping', { signal });
    app.stop(timeoutMs).then(
      () => {
        log.logger.info('stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.logger.error('the stop failed; the write-ahead log keeps what is not stored', { err: error });
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
}

/** The first line of standard input; from a terminal it is not shown. */
async function hashFromInput(): Promise<void> {
  const { stdin, stderr } = process;
  if (stdin.isTTY) stderr.write('Password: ');
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: stdin.isTTY });
  const password = await new Promise<string>((resolve) => {
    lines.once('line', resolve);
    lines.once('close', () => resolve('')); // what comes second says nothing
  });
  lines.close();
  if (stdin.isTTY) stderr.write('\n');
  if (password !== '') return print(`${await hashPassword(password)}\n`);
  stderr.write('loptr: expected a password on standard input\n');
  process.exitCode = 1;
}

async function askHealth(url: string): Promise<void> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    if (response.ok) return print('ready\n');
    process.stderr.write(`${url} answers ${response.status}: ${await response.text()}`);
  } catch (error) {
    process.stderr.write(`${url} does not answer: ${error instanceof Error ? String(error.cause ?? error) : error}\n`);
  }
  process.exitCode = 1;
}

function print(text: string): void {
  process.stdout.write(text);
}

await main(process.argv.slice(2));
