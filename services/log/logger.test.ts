import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLogfmt } from './logfmt.ts';
import { type LogOptions, ProgramLog } from './logger.ts';

function collect(options: Omit<LogOptions, 'write'>) {
  const lines: string[] = [];
  return { log: new ProgramLog({ ...options, write: (line) => lines.push(line) }), lines };
}

test('a line says level, time and message, then the fields, quoted where they must be', () => {
  const { log, lines } = collect({ format: 'logfmt', level: 'info' });
  log.logger.info('a message', { port: 3100, path: '/a b', empty: '', list: [1] });
  assert.match(lines[0]!, /^level=info ts=\S+ msg="a message" port=3100 path="\/a b" empty="" list=\[1\]\n$/);
});

test('the level holds for children and can be changed while they live', () => {
  const { log, lines } = collect({ format: 'logfmt', level: 'warn' });
  const child = log.logger.child({ tenant: 'a' });
  child.info('hidden');
  log.setLevel('debug');
  child.debug('seen');
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /level=debug .*msg=seen tenant=a\n/);
  assert.equal(log.level, 'debug');
});

test('an error is logged with its message, code and the stacks of its causes, on one line', () => {
  const { log, lines } = collect({ format: 'logfmt', level: 'info' });
  const cause = new Error('the disk is gone');
  log.logger.error('failed', { err: Object.assign(new Error('no write', { cause }), { code: 'wal_unavailable' }) });
  assert.equal(lines[0]!.trimEnd().split('\n').length, 1);
  assert.match(lines[0]!, /err="no write: the disk is gone" err_code=wal_unavailable stack=".*the disk is gone/);
});

test('json lines parse and carry the same fields', () => {
  const { log, lines } = collect({ format: 'json', level: 'info' });
  log.logger.warn('x', { a: 'b\n' });
  const { ts, ...rest } = JSON.parse(lines[0]!) as Record<string, unknown>;
  assert.deepEqual(rest, { level: 'warn', a: 'b\n', msg: 'x' });
  assert.ok(!Number.isNaN(Date.parse(ts as string)));
});

test('control characters never reach the terminal', () => {
  assert.equal(formatLogfmt({ level: 'info', ts: 't', msg: 'a\u001b[31m' }), 'level=info ts=t msg="a\\u001b[31m"\n');
});
