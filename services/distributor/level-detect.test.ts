import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../config/limits.ts';
import { LEVELS, LevelDetector, levelOfSeverityNumber, looksLikeJson, normaliseLevel } from './level-detect.ts';

const fields = defaultLimits.log_level_fields;
const detector = new LevelDetector(fields, 2);

/** Detects inside of a larger buffer, so that a read beyond the line would show. */
function detect(line: string | Buffer, using = detector): string {
  const bytes = Buffer.from(line);
  const source = Buffer.concat([Buffer.from('level=fatal {"level":"fatal"'), bytes, Buffer.from(' level=fatal"}')]);
  const start = 28;
  return LEVELS[using.detect(source, start, start + bytes.length)]!;
}

const cases: readonly (readonly [line: string, level: string])[] = [
  ['', 'unknown'],
  ['no hint here', 'unknown'],
  // JSON
  ['{"level":"info"}', 'info'],
  ['{"level":"inf"}', 'info'],
  ['{"LEVEL":"Fatal"}', 'fatal'],
  ['{"severity":"CRITICAL"}', 'critical'],
  ['{"lvl":"trace"}', 'trace'],
  ['{"leVel":"wrn"}', 'unknown'],
  ['{"leVel":"warn"}', 'warn'],
  ['{"level":30}', 'unknown'],
  ['{"level":30,"msg":"an error occurred"}', 'error'],
  ['{"level":null,"severity":"dbg"}', 'debug'],
  ['{"a":{"level":"warn"}}', 'warn'],
  ['{"a":{"b":{"level":"dbg"}}}', 'unknown'],
  ['{"a":{"b":{"level":"fatal"}}}', 'fatal'],
  ['{"a":[{"level":"dbg"}],"severity":"wrn"}', 'warn'],
  ['{"severity":"wrn","level":"dbg"}', 'warn'],
  ['{"level":"custom info"}', 'info'],
  ['{"level":"custom"}', 'unknown'],
  ['{"l\\u0065vel":"wrn"}', 'warn'],
  ['{"level":"\\u0077rn"}', 'unknown'],
  ['{"a":"}","level":"dbg"}', 'debug'],
  ['{"a":"\\"}","level":"dbg"}', 'debug'],
  ['{"a" : 1 , "level" : "dbg" }', 'debug'],
  ['  {"level":"dbg"}\n', 'debug'],
  ['\u00a0{"level":"dbg"}', 'unknown'],
  ['{"a":1 "level":"dbg"}', 'unknown'],
  ['{"a":x,"level":"dbg"}', 'unknown'],
  ['{"a":,"level":"dbg"}', 'unknown'],
  ['{a:1,"level":"dbg"}', 'unknown'],
  ['{}', 'unknown'],
  ['{}}', 'unknown'],
  ['{"level":"dbg"', 'unknown'],
  ['{"level":"debug"', 'debug'],
  // logfmt
  ['level=error msg=x', 'error'],
  ['level="WARN" m=1', 'warn'],
  ['lvl=dbg', 'debug'],
  ['Level=Information', 'info'],
  ['lEvEl=inf', 'info'],
  ['severity=wrn level=dbg', 'debug'],
  ['severity=wrn lvl=dbg', 'warn'],
  ['level= severity=wrn', 'unknown'],
  ['level="" error', 'error'],
  ['level=unknown x=1', 'unknown'],
  ['level=7', 'unknown'],
  ['severity=crit', 'unknown'],
  ['level="wr\\u006e"', 'warn'],
  ['a="\\q" level=dbg', 'unknown'],
  ['a="it\\\'s" level=dbg', 'debug'],
  ['a="open level=dbg', 'unknown'],
  ['a=b=c level=dbg', 'unknown'],
  ['a"b level=dbg', 'unknown'],
  ['=x level=dbg', 'unknown'],
  ['GET "/" level=error', 'error'],
  ['level level=dbg', 'unknown'],
  ['log.level=dbg', 'debug'],
  ['\u017feverity=dbg', 'debug'],
  ['a=1 é=2 level=dbg', 'debug'],
  // words
  ['ERROR something', 'error'],
  ['[error] nginx', 'error'],
  ['this is a warning: disk', 'warn'],
  ['debug: x', 'debug'],
  ['TRACE x', 'trace'],
  ['critical failure', 'critical'],
  ['fatal', 'fatal'],
  ['warn', 'warn'],
  ['INFO', 'info'],
  ['err', 'error'],
  ['an info and error', 'info'],
  ['an errors info', 'info'],
  ['misc:error', 'unknown'],
  ['errors', 'unknown'],
  ['xerror', 'unknown'],
  ['error.', 'unknown'],
  ['error!', 'error'],
  ['(error)', 'error'],
  ['{error}', 'error'],
  ['"error"', 'error'],
  ['}error', 'unknown'],
  ['x error', 'error'],
  ['error\n', 'error'],
  ['error\r', 'unknown'],
  ['exception occurred', 'unknown'],
  ['panic: x', 'unknown'],
  ['warni', 'unknown'],
  ['information', 'unknown'],
  ['I1120 10:00:00 klog info', 'info'],
];
for (const [line, level] of cases) {
  test(`${JSON.stringify(line)} is ${level}`, () => assert.equal(detect(line), level));
}

test('depth counts objects, and 0 means all', () => {
  const nested = '{"a":{"b":{"c":{"level":"dbg"}}}}';
  assert.equal(detect(nested, new LevelDetector(fields, 4)), 'debug');
  assert.equal(detect(nested, new LevelDetector(fields, 3)), 'unknown');
  assert.equal(detect(nested, new LevelDetector(fields, 0)), 'debug');
  assert.equal(detect(nested, new LevelDetector(fields, -1)), 'debug');
});

test('very deep JSON does not overflow the stack', () => {
  const line = `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
  assert.equal(detect(line, new LevelDetector(fields, 0)), 'unknown');
});

test('fields are the tenant’s', () => {
  const own = new LevelDetector(['prio'], 2);
  assert.equal(detect('prio=wrn level=dbg', own), 'warn');
  assert.equal(detect('{"level":"dbg","prio":"wrn"}', own), 'warn');
  assert.equal(detect('level=dbg', new LevelDetector([], 2)), 'unknown');
});

test('white space around JSON is Go’s', () => {
  const is = (text: string | Buffer) => looksLikeJson(Buffer.from(text), 0, Buffer.byteLength(text));
  for (const text of ['{}', ' {}', '\u2003{}\t', '\u3000{}', '\u0085{}']) assert.ok(is(text), JSON.stringify(text));
  for (const text of ['', ' ', '{', '}', 'x{}', '{}x', '\u200b{}', '[]']) assert.ok(!is(text), JSON.stringify(text));
});

test('known words are normalised, others stay', () => {
  const table = {
    ERR: 'error',
    Wrn: 'warn',
    INF: 'info',
    trc: 'trace',
    DBG: 'debug',
    Fatal: 'fatal',
    DEBUG3: 'DEBUG3',
    crit: 'crit',
    '': '',
  };
  for (const [from, to] of Object.entries(table)) assert.equal(normaliseLevel(from), to);
});

test('severity numbers are OpenTelemetry’s', () => {
  const table = {
    0: 'unknown',
    1: 'trace',
    4: 'trace',
    5: 'debug',
    9: 'info',
    12: 'info',
    13: 'warn',
    17: 'error',
    24: 'fatal',
    25: 'unknown',
    '-3': 'trace',
    x: 'info',
    1.5: 'info',
  };
  for (const [number, level] of Object.entries(table)) assert.equal(levelOfSeverityNumber(number), level);
});

test('lines may be asked for in any order, and in bytes that change', () => {
  const source = Buffer.from('plain text |level=warn | no sign | lvl=dbg ');
  const levels = (): string[] =>
    [
      [12, 22],
      [0, 11],
      [23, 33],
      [34, 43],
      [12, 22],
    ].map(([start, end]) => LEVELS[detector.detect(source, start!, end!)]!);
  assert.deepEqual(levels(), ['warn', 'unknown', 'unknown', 'debug', 'warn']);
  source.write('lvl=wrn ', 0);
  detector.forget();
  assert.deepEqual(levels(), ['warn', 'warn', 'unknown', 'debug', 'warn']);
});
