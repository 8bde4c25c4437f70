import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatRfc3339Nano, parseRfc3339Ns } from '../../logql/units/rfc3339.ts';
import { parseBounds, parseLimit, parseRangeParams, parseStep, parseTime } from './params.ts';

const NOW = 1_795_176_000_000_000_000n;
const form = (text: string) => new URLSearchParams(text);

describe('times', () => {
  const cases: [text: string, ns: bigint][] = [
    ['', NOW],
    ['1700000000', 1_700_000_000_000_000_000n],
    ['1700000000.5', 1_700_000_000_500_000_000n],
    ['1700000000.0006', 1_700_000_000_001_000_000n],
    ['1.7e9', 1_700_000_000_000_000_000n],
    ['1700000000000', 1_700_000_000_000n],
    ['1700000000000000001', 1_700_000_000_000_000_001n],
    ['-5', -5_000_000_000n],
    ['2023-11-14T22:13:20.5Z', 1_700_000_000_500_000_000n],
    ['2023-11-15T00:13:20+02:00', 1_700_000_000_000_000_000n],
    ['2023-11-14T22:13:20.000000001Z', 1_700_000_000_000_000_001n],
  ];
  for (const [text, ns] of cases) {
    test(`reads ${JSON.stringify(text)}`, () => assert.equal(parseTime(text, NOW), ns));
  }
  for (const text of ['x', 'now-1h', '2026-11-20', '2026-11-20T10:00:00', '1e9', '2026-13-01T00:00:00Z']) {
    test(`refuses ${text} in Go's words`, () =>
      assert.throws(() => parseTime(text, NOW), { message: `strconv.ParseInt: parsing "${text}": invalid syntax` }));
  }
  test('prints what it reads', () => {
    for (const text of ['2023-11-14T22:13:20.000000001Z', '2023-11-14T22:13:20Z', '1969-12-31T23:59:59.5Z']) {
      assert.equal(formatRfc3339Nano(parseRfc3339Ns(text)!), text);
    }
  });
});

describe('bounds', () => {
  test('cover the last hour when nothing is given', () => {
    assert.deepEqual(parseBounds(form(''), NOW), { startNs: NOW - 3_600_000_000_000n, endNs: NOW });
  });
  test('count since back from an end in the past, and from now for one in the future', () => {
    assert.equal(parseBounds(form('end=1000&since=10s'), NOW).startNs, 990_000_000_000n);
    assert.equal(parseBounds(form('end=1895176000&since=10s'), NOW).startNs, NOW - 10_000_000_000n);
  });
  test('name the parameter that is wrong', () => {
    assert.throws(() => parseBounds(form('since=zz'), NOW), {
      message: `could not parse 'since' parameter: not a valid duration string: "zz"`,
    });
    assert.throws(() => parseBounds(form('end=x'), NOW), {
      message: `could not parse 'end' parameter: strconv.ParseInt: parsing "x": invalid syntax`,
    });
  });
});

describe('range parameters', () => {
  const range = 'start=1795168800000000000&end=1795176000000000000';
  const refused: [extra: string, message: string][] = [
    ['limit=0', 'limit must be a positive value'],
    ['limit=1.5', 'strconv.Atoi: parsing "1.5": invalid syntax'],
    ['direction=up', "invalid direction 'up'"],
    ['step=0', 'zero or negative query resolution step widths are not accepted. Try a positive integer'],
    ['step=x', 'cannot parse "x" to a valid duration'],
    ['step=1e30', 'cannot parse "1e30" to a valid duration. It overflows int64'],
    [
      'step=0.1',
      'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter',
    ],
    ['interval=-1', 'interval must be >= 0'],
  ];
  for (const [extra, message] of refused) {
    test(`refuse ${extra}`, () => assert.throws(() => parseRangeParams(form(`${range}&${extra}`), NOW), { message }));
  }
  test('refuse an end before the start, and accept an equal one', () => {
    assert.throws(() => parseRangeParams(form('start=20&end=10'), NOW), {
      message: 'end timestamp must not be before or equal to start time',
    });
    assert.equal(parseRangeParams(form('start=10&end=10'), NOW).startNs, 10_000_000_000n);
  });
  test('keep a limit in 32 bits', () => assert.equal(parseLimit('99999999999'), 1_215_752_191));
  test('take a 250th of the range as step, at least a second', () => {
    assert.equal(parseStep(form(''), 0n, 7200n * 1_000_000_000n), 28_000_000_000n);
    assert.equal(parseStep(form(''), 0n, 10n * 1_000_000_000n), 1_000_000_000n);
  });
});
