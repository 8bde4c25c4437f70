import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { formatRfc3339, parseRfc3339 } from '../../logql/units/rfc3339.ts';
import { decodeBody } from './body.ts';
import { ErrorGroups } from './error-groups.ts';
import { InflightBytes } from './inflight.ts';
import { parseMediaType } from './media-type.ts';
import { RateLimiter } from './rate-limit.ts';
import { ManualClock } from './testing/manual-clock.ts';

const MB = 1024 * 1024;
const text = Buffer.from('{"streams":[]}');

test('gzip, raw deflate, snappy and nothing are the encodings', async () => {
  assert.deepEqual(await decodeBody(gzipSync(text), 'gzip', MB), text);
  assert.deepEqual(await decodeBody(deflateRawSync(text), 'deflate', MB), text);
  assert.equal(await decodeBody(text, 'snappy', MB), text);
  assert.equal(await decodeBody(text, '', MB), text);
});

const bodies: readonly (readonly [encoding: string, body: Buffer, message: string])[] = [
  ['br', text, 'Content-Encoding "br" not supported'],
  ['identity', text, 'Content-Encoding "identity" not supported'],
  ['GZIP', text, 'Content-Encoding "GZIP" not supported'],
  ['gzip, deflate', text, 'Content-Encoding "gzip, deflate" not supported'],
  ['gzip', text, 'gzip: invalid header'],
  ['gzip', Buffer.alloc(0), 'EOF'],
  ['gzip', gzipSync(text).subarray(0, 5), 'unexpected EOF'],
  ['gzip', gzipSync(text).subarray(0, 20), 'unexpected EOF'],
  ['deflate', deflateSync(text), 'EOF'],
];
for (const [encoding, body, message] of bodies) {
  test(`${encoding} of ${body.length} bytes is refused with: ${message}`, async () => {
    await assert.rejects(decodeBody(body, encoding, MB), { status: 400, message });
  });
}

test('a body that unpacks to more than the limit is refused', async () => {
  const bomb = gzipSync(Buffer.alloc(4 * MB));
  await assert.rejects(decodeBody(bomb, 'gzip', MB), { status: 413 });
});

test('media types are read as Go reads them', () => {
  assert.equal(parseMediaType('application/json'), 'application/json');
  assert.equal(parseMediaType('APPLICATION/JSON; charset=utf-8'), 'application/json');
  assert.equal(parseMediaType('application/json;'), 'application/json');
  assert.equal(parseMediaType('application/json; a="x;y" ; b=c'), 'application/json');
  const refused = {
    '': 'mime: no media type',
    ';': 'mime: no media type',
    'application/json; =': 'mime: invalid media parameter',
    'application/json; a': 'mime: invalid media parameter',
    'application/json; a=1; A=2': 'mime: duplicate parameter name',
    'application/': 'mime: expected token after slash',
    'application/json x': 'mime: unexpected content after media subtype',
  };
  for (const [header, message] of Object.entries(refused)) {
    assert.throws(() => parseMediaType(header), { status: 400, message }, header);
  }
});

test('a bucket fills with time and never beyond its burst', () => {
  const clock = new ManualClock(0);
  const limiter = new RateLimiter(clock);
  assert.ok(limiter.take('a', 100, 10, 100));
  assert.ok(!limiter.take('a', 1, 10, 100));
  assert.ok(limiter.take('b', 100, 10, 100));
  clock.advance(500);
  assert.ok(!limiter.take('a', 6, 10, 100));
  assert.ok(limiter.take('a', 5, 10, 100));
  clock.advance(3_600_000);
  assert.ok(!limiter.take('a', 101, 10, 100));
  assert.ok(limiter.take('a', 100, 10, 100));
});

test('errors are grouped in Loki’s words', () => {
  const one = new ErrorGroups();
  assert.ok(one.isEmpty);
  one.add('x');
  assert.equal(one.message, 'x');
  one.add('x');
  assert.equal(one.message, '2 errors like: x');
  one.add('y');
  assert.equal(one.message, '2 errors like: x; 1 errors like: y');
});

test('a push full of different mistakes has a bounded answer', () => {
  const groups = new ErrorGroups();
  for (let i = 0; i < 100_000; i++) groups.add(`error ${i}`);
  assert.equal(groups.message.split('; ').length, 1000);
});

test('bytes in flight are bounded, but one push always passes', () => {
  let shed = 0;
  const inflight = new InflightBytes(100, () => shed++);
  const large = inflight.admit(1000);
  assert.throws(() => inflight.admit(1), { status: 503 });
  assert.equal(shed, 1);
  large.release();
  large.release();
  assert.equal(inflight.total, 0);
  const first = inflight.admit(60);
  const second = inflight.admit(30);
  assert.throws(() => second.grow(20), { status: 503 });
  first.release();
  second.grow(20);
  assert.equal(inflight.total, 50);
});

test('times print and parse as RFC 3339', () => {
  assert.equal(formatRfc3339(-62135596800), '0001-01-01T00:00:00Z');
  assert.equal(formatRfc3339(1795168800.9), '2026-11-20T10:00:00Z');
  assert.deepEqual(parseRfc3339('0001-01-01T00:00:00Z'), { seconds: -62135596800, nanos: 0 });
  assert.deepEqual(parseRfc3339('1969-12-31T23:59:59.5Z'), { seconds: -1, nanos: 500_000_000 });
  assert.deepEqual(parseRfc3339('2026-11-20T10:00:00-00:30'), { seconds: 1795170600, nanos: 0 });
  for (const bad of [
    '2026-11-20 10:00:00Z',
    '2026-11-20T10:00:00',
    '2026-13-20T10:00:00Z',
    '2025-02-29T10:00:00Z',
    '',
  ]) {
    assert.equal(parseRfc3339(bad), null, bad);
  }
});
