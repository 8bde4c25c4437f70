import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatBinaryBytes, formatBytes, parseBytes } from './bytes.ts';
import { formatGoFloat, formatSampleValue, parseGoFloat } from './float.ts';
import { formatGoDuration, parseGoDuration } from './go-duration.ts';
import { quoteGo, quoteGoAscii, quoteGoRune, unquoteGo } from './go-quote.ts';
import { formatPrometheusDuration, parsePrometheusDuration } from './prometheus-duration.ts';
import { UnitError } from './unit-error.ts';
import { decodeUtf8, utf8At, utf8Length, utf8Slice } from './utf8.ts';

function fails(run: () => unknown, message: string): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof UnitError, `not a UnitError: ${error}`);
    assert.equal(error.message, message);
    return true;
  });
}

describe('Go durations', () => {
  const values: readonly [string, number][] = [
    ['0', 0],
    ['+0', 0],
    ['5s', 5e9],
    ['-5s', -5e9],
    ['+1m', 60e9],
    ['1h30m', 5400e9],
    ['1.5h', 5400e9],
    ['.5s', 5e8],
    ['1.s', 1e9],
    ['100ns', 100],
    ['5µs', 5000],
    ['5μs', 5000],
    ['5us', 5000],
    ['335.3ms', 335_300_000],
    ['1.0000000001s', 1e9],
    ['0.3333333333333333333h', 1_199_999_999_999],
    ['1.520451253s', 1_520_451_253],
    ['1m1h', 3660e9],
    ['0000000000000000000000001s', 1e9],
  ];
  for (const [text, ns] of values) {
    test(`${text} is ${ns} ns`, () => {
      assert.equal(parseGoDuration(text), ns);
    });
  }

  const errors: readonly [string, string][] = [
    ['', 'time: invalid duration ""'],
    ['abc', 'time: invalid duration "abc"'],
    ['-', 'time: invalid duration "-"'],
    ['.s', 'time: invalid duration ".s"'],
    ['5', 'time: missing unit in duration "5"'],
    ['1h5', 'time: missing unit in duration "1h5"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1.5 h', 'time: unknown unit " h" in duration "1.5 h"'],
    ['3é"', 'time: unknown unit "\\xc3\\xa9\\"" in duration "3\\xc3\\xa9\\""'],
    ['3000000h', 'time: invalid duration "3000000h"'],
    ['99999999999999999999ns', 'time: invalid duration "99999999999999999999ns"'],
  ];
  for (const [text, message] of errors) {
    test(`${JSON.stringify(text)} is refused`, () => fails(() => parseGoDuration(text), message));
  }

  const printed: readonly [number, string][] = [
    [0, '0s'],
    [1, '1ns'],
    [1100, '1.1µs'],
    [2_200_000, '2.2ms'],
    [5e9, '5s'],
    [5400e9, '1h30m0s'],
    [90e9, '1m30s'],
    [-1_500_000_000, '-1.5s'],
    [3_600_000_000_001, '1h0m0.000000001s'],
  ];
  for (const [ns, text] of printed) test(`${ns} ns prints ${text}`, () => assert.equal(formatGoDuration(ns), text));

  test('printing and parsing agree', () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (ns) => parseGoDuration(formatGoDuration(ns)) === ns + 0));
  });
});

describe('Prometheus durations', () => {
  test('units add up in descending order', () => {
    assert.equal(parsePrometheusDuration('1h30m'), 5400e9);
    assert.equal(parsePrometheusDuration('1y2w3d4h5m6s7ms'), 33_019_506_007e6);
    assert.equal(parsePrometheusDuration('0'), 0);
    assert.equal(parsePrometheusDuration('0s'), 0);
  });
  const errors: readonly [string, string][] = [
    ['', 'empty duration string'],
    ['zz', 'not a valid duration string: "zz"'],
    ['5', 'not a valid duration string: "5"'],
    ['1.5h', 'unknown unit "." in duration "1.5h"'],
    ['30m1h', 'not a valid duration string: "30m1h"'],
    ['1m1m', 'not a valid duration string: "1m1m"'],
    ['-5s', 'not a valid duration string: "-5s"'],
    ['1x', 'unknown unit "x" in duration "1x"'],
    ['300y', 'duration out of range'],
    ['18446744073709551616ms', 'not a valid duration string: "18446744073709551616ms"'],
  ];
  for (const [text, message] of errors) {
    test(`${JSON.stringify(text)} is refused`, () => fails(() => parsePrometheusDuration(text), message));
  }
  const printed: readonly [number, string][] = [
    [0, '0s'],
    [999_999, '0s'],
    [5400e9, '1h30m'],
    [86_400e9, '1d'],
    [7 * 86_400e9, '1w'],
    [8 * 86_400e9, '8d'],
    [365 * 86_400e9, '1y'],
    [1_500_000_000, '1s500ms'],
    [-60e9, '-1m'],
  ];
  for (const [ns, text] of printed) {
    test(`${ns} ns prints ${text}`, () => assert.equal(formatPrometheusDuration(ns), text));
  }
});

describe('sizes', () => {
  const values: readonly [string, number][] = [
    ['42', 42],
    ['10MB', 10_000_000],
    ['10 mb', 10_000_000],
    ['10MiB', 10_485_760],
    ['1.5KiB', 1536],
    ['64kb', 64_000],
    ['1,000', 1000],
    ['1.6 b', 1],
    ['1k', 1000],
    ['2 Gi', 2_147_483_648],
    ['1eb', 1e18],
  ];
  for (const [text, bytes] of values) test(`${text} is ${bytes} bytes`, () => assert.equal(parseBytes(text), bytes));
  test('bad sizes are refused with the words of their reader', () => {
    fails(() => parseBytes(''), 'strconv.ParseFloat: parsing "": invalid syntax');
    fails(() => parseBytes('MB'), 'strconv.ParseFloat: parsing "": invalid syntax');
    fails(() => parseBytes('-1B'), 'strconv.ParseFloat: parsing "": invalid syntax');
    fails(() => parseBytes('1.2.3B'), 'strconv.ParseFloat: parsing "1.2.3": invalid syntax');
    fails(() => parseBytes('5 Bananas'), 'unhandled size name: bananas');
    fails(() => parseBytes('99EB'), 'too large: 99EB');
  });
  const printed: readonly [number, string][] = [
    [0, '0 B'],
    [9, '9 B'],
    [999, '999 B'],
    [5120, '5.1 kB'],
    [82_854_982, '83 MB'],
    [4_194_304, '4.2 MB'],
    [1e18, '1.0 EB'],
  ];
  for (const [bytes, text] of printed) test(`${bytes} prints ${text}`, () => assert.equal(formatBytes(bytes), text));

  const binary: [number, string][] = [
    [0, '0 B'],
    [9, '9 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [10_189, '10 KiB'],
    [1_610_612_736, '1.5 GiB'],
    [150 * 1024 ** 3, '150 GiB'],
    [2 ** 60, '1.0 EiB'],
  ];
  for (const [bytes, text] of binary) {
    test(`${bytes} prints ${text} to the base of 1024`, () => assert.equal(formatBinaryBytes(bytes), text));
  }
});

describe('floats', () => {
  const values: readonly [string, number][] = [
    ['1', 1],
    ['-1.5', -1.5],
    ['.5', 0.5],
    ['5.', 5],
    ['1e3', 1000],
    ['+1E-2', 0.01],
    ['inf', Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY],
    ['+Inf', Number.POSITIVE_INFINITY],
    ['nAn', Number.NaN],
    ['0x1p-2', 0.25],
    ['-0x1.8p1', -3],
    ['0x1_0p0', 16],
    ['1_000.5', 1000.5],
    ['0x_1p0', 1],
    ['0x.8p0', 0.5],
    ['0x1p-1074', 5e-324],
    ['0x1.fffffffffffff8p0', 2],
    ['1e-400', 0],
  ];
  for (const [text, value] of values) test(`${text} reads as ${value}`, () => assert.equal(parseGoFloat(text), value));
  for (const text of ['', ' 1', '1__0', '_1', '1_', '0x1', '1e', '+nan', '0b1', '0x1__0p0', 'info', '1,5', '0x1p1_']) {
    test(`${JSON.stringify(text)} is refused`, () =>
      fails(() => parseGoFloat(text), `strconv.ParseFloat: parsing ${quoteGo(text)}: invalid syntax`));
  }
  test('too large a number is out of range', () => {
    fails(() => parseGoFloat('1e400'), 'strconv.ParseFloat: parsing "1e400": value out of range');
    fails(() => parseGoFloat('0x1p1024'), 'strconv.ParseFloat: parsing "0x1p1024": value out of range');
  });

  test('sample values have no exponent', () => {
    assert.equal(formatSampleValue(1e21), '1000000000000000000000');
    assert.equal(formatSampleValue(-1.5e-7), '-0.00000015');
    assert.equal(formatSampleValue(1.25e22), '12500000000000000000000');
    assert.equal(formatSampleValue(0.1), '0.1');
    assert.equal(formatSampleValue(-0), '-0');
    assert.equal(formatSampleValue(Number.NaN), 'NaN');
    assert.equal(formatSampleValue(Number.POSITIVE_INFINITY), '+Inf');
    assert.equal(formatSampleValue(Number.NEGATIVE_INFINITY), '-Inf');
  });
  test('sample values read back the same', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = formatSampleValue(value);
        assert.doesNotMatch(text, /e/);
        assert.equal(Number(text), value);
      }),
    );
  });
  const printed: readonly [number, string][] = [
    [0, '0'],
    [-0, '-0'],
    [1, '1'],
    [100000, '100000'],
    [999999, '999999'],
    [1e6, '1e+06'],
    [1_572_864, '1.572864e+06'],
    [1e7, '1e+07'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.30000000000000004, '0.30000000000000004'],
    [1e100, '1e+100'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NaN, 'NaN'],
  ];
  for (const [value, text] of printed)
    test(`%v of ${value} is ${text}`, () => assert.equal(formatGoFloat(value), text));
});

describe('quoting', () => {
  const quoted: readonly [string, string][] = [
    ['abc', '"abc"'],
    ['a"b', '"a\\"b"'],
    ['a\\b', '"a\\\\b"'],
    ['\n\t\r\v\f\b\x07', '"\\n\\t\\r\\v\\f\\b\\a"'],
    ['\x00\x7f', '"\\x00\\x7f"'],
    ["it's é 世", '"it\'s é 世"'],
    ['\u00a0\u200b', '"\\u00a0\\u200b"'],
    ['\u{e0001}', '"\\U000e0001"'],
    ['😀', '"😀"'],
  ];
  for (const [text, expected] of quoted) test(`${expected}`, () => assert.equal(quoteGo(text), expected));
  test('ASCII and rune forms', () => {
    assert.equal(quoteGoAscii('é😀'), '"\\u00e9\\U0001f600"');
    assert.equal(quoteGoRune(0x27), "'\\''");
    assert.equal(quoteGoRune(0x22), "'\"'");
    assert.equal(quoteGoRune(0x110000), "'\ufffd'");
    assert.equal(quoteGoRune(0xe9, true), "'\\u00e9'");
  });
  test('quoted texts read back', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => unquoteGo(quoteGo(text)) === text));
  });
  const unquoted: readonly [string, string][] = [
    ['`a\\n"b`', 'a\\n"b'],
    ['`a\r\nb`', 'a\nb'],
    ['"\\x41\\101\\u00e9\\U0001F600"', 'AAé😀'],
    ['"\\xc3\\xa9"', 'é'],
    ['"\\xe2\\x82!"', '\ufffd\ufffd!'],
    ["'x'", 'x'],
    ["'\\''", "'"],
    ["'é'", 'é'],
    ['"\'"', "'"],
  ];
  for (const [text, expected] of unquoted) test(`${text} unquotes`, () => assert.equal(unquoteGo(text), expected));
  for (const text of [
    '',
    '"',
    'abc',
    '"a',
    '"a`',
    '"\\d"',
    '"\\\'"',
    "'\\\"'",
    "'ab'",
    "''",
    '"a"b"',
    '"\n"',
    '"\\x4"',
    '"\\ud800"',
    '"\\400"',
    '`a`b`',
    '"\\"',
    '"\\U00110000"',
  ]) {
    test(`${JSON.stringify(text)} is no literal`, () => fails(() => unquoteGo(text), 'invalid syntax'));
  }
});

describe('UTF-8 form', () => {
  test('lengths are those of the encoded text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => utf8Length(text) === Buffer.byteLength(text)));
  });
  test('a slice is the decoded slice of the bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(20), fc.nat(20), (text, a, b) => {
        const bytes = Buffer.from(text);
        const start = Math.min(a, b, bytes.length);
        const end = Math.min(Math.max(a, b), bytes.length);
        assert.equal(utf8Slice(text, start, end), decodeUtf8(bytes.subarray(start, end)));
      }),
    );
  });
  test('valid bytes decode as usual, each other byte alone', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => decodeUtf8(Buffer.from(text)) === text));
    assert.equal(
      decodeUtf8(Uint8Array.of(0x61, 0xe2, 0x82, 0x62, 0xed, 0xa0, 0x80)),
      'a\ufffd\ufffdb\ufffd\ufffd\ufffd',
    );
  });
  test('a byte is found by its offset', () => {
    assert.equal(utf8At('aé', 0), 0x61);
    assert.equal(utf8At('aé', 2), 0xa9);
    assert.throws(() => utf8At('aé', 3), RangeError);
  });
});

test('a bigint duration prints exactly beyond 104 days', () => {
  assert.equal(formatGoDuration(498_737n * 3_600_000_000_000n + 622_072_000_000n), '498737h10m22.072s');
  assert.equal(formatGoDuration(2_595_601_000_000_000n), '721h0m1s');
  assert.equal(formatGoDuration(-1_500_000_000n), '-1.5s');
});
