import { parseGoFloat } from '../../logql/units/float.ts';
import { parsePrometheusDuration } from '../../logql/units/prometheus-duration.ts';
import { parseRfc3339Ns } from '../../logql/units/rfc3339.ts';

/** A request that is wrong in itself: answered with 400 and this text. */
export class BadRequestError extends Error {
  readonly code = 'bad_request';
}

export type Direction = 'forward' | 'backward';

export interface Bounds {
  readonly startNs: bigint;
  readonly endNs: bigint;
}

export interface RangeParams extends Bounds {
  readonly query: string;
  readonly limit: number;
  readonly direction: Direction;
  readonly stepNs: bigint;
  readonly intervalNs: bigint;
}

export interface InstantParams {
  readonly query: string;
  readonly timeNs: bigint;
  readonly limit: number;
  readonly direction: Direction;
}

const SECOND_NS = 1_000_000_000n;
const HOUR_NS = 3600n * SECOND_NS;
const INT64_MAX = 2n ** 63n - 1n;
const MAX_POINTS = 11_000n;
export const DEFAULT_LIMIT = 100;

/**
 * A time parameter: float seconds when it has a point, whole seconds up to ten digits, else nanoseconds, else RFC 3339.
 * Throws the error that Go's ParseInt gives when none fits.
 */
export function parseTime(text: string, fallback: bigint): bigint {
  if (text === '') return fallback;
  if (text.includes('.')) {
    const seconds = tryFloat(text);
    if (seconds !== null && Number.isFinite(seconds)) {
      const whole = Math.trunc(seconds);
      const millis = Math.round((seconds - whole) * 1000);
      return BigInt(whole) * SECOND_NS + BigInt(millis) * 1_000_000n;
    }
  }
  if (/^[+-]?\d+$/.test(text)) {
    const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
    if (value > INT64_MAX || value < -INT64_MAX - 1n) {
      throw new BadRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
    }
    return text.length <= 10 ? value * SECOND_NS : value;
  }
  const time = parseRfc3339Ns(text);
  if (time !== null) return time;
  throw new BadRequestError(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** start, end and since of a request. `nowNs` closes an open end. */
export function parseBounds(form: URLSearchParams, nowNs: bigint): Bounds {
  const sinceText = form.get('since') ?? '';
  const sinceNs = sinceText === '' ? HOUR_NS : named('since', () => BigInt(parsePrometheusDuration(sinceText)));
  const endNs = named('end', () => parseTime(form.get('end') ?? '', nowNs));
  const anchorNs = endNs > nowNs ? nowNs : endNs;
  const startNs = named('start', () => parseTime(form.get('start') ?? '', anchorNs - sinceNs));
  return { startNs, endNs };
}

/** Bounds of the calls that demand an order of them. */
export function parseOrderedBounds(form: URLSearchParams, nowNs: bigint): Bounds {
  const bounds = parseBounds(form, nowNs);
  if (bounds.endNs < bounds.startNs) {
    throw new BadRequestError('end timestamp must not be before or equal to start time');
  }
  return bounds;
}

export function parseRangeParams(form: URLSearchParams, nowNs: bigint): RangeParams {
  const { startNs, endNs } = parseOrderedBounds(form, nowNs);
  const limit = parseLimit(form.get('limit'));
  const direction = parseDirection(form.get('direction'));
  const stepNs = parseStep(form, startNs, endNs);
  const intervalText = form.get('interval') ?? '';
  const intervalNs = intervalText === '' ? 0n : parseSecondsOrDuration(intervalText);
  if (intervalNs < 0n) throw new BadRequestError('interval must be >= 0');
  return { query: form.get('query') ?? '', startNs, endNs, limit, direction, stepNs, intervalNs };
}

export function parseInstantParams(form: URLSearchParams, nowNs: bigint): InstantParams {
  const limit = parseLimit(form.get('limit'));
  const timeNs = parseTime(form.get('time') ?? '', nowNs);
  const direction = parseDirection(form.get('direction'));
  return { query: form.get('query') ?? '', timeNs, limit, direction };
}

/** The step of a range request: 1/250 of the range, at least a second, unless given. */
export function parseStep(form: URLSearchParams, startNs: bigint, endNs: bigint): bigint {
  const text = form.get('step') ?? '';
  let stepNs: bigint;
  if (text === '') {
    const seconds = (endNs - startNs) / SECOND_NS / 250n;
    stepNs = (seconds < 1n ? 1n : seconds) * SECOND_NS;
  } else {
    stepNs = parseSecondsOrDuration(text);
  }
  if (stepNs <= 0n) {
    throw new BadRequestError('zero or negative query resolution step widths are not accepted. Try a positive integer');
  }
  if ((endNs - startNs) / stepNs > MAX_POINTS) {
    throw new BadRequestError(
      'exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter',
    );
  }
  return stepNs;
}

/** Float seconds or a Prometheus duration, in ns. */
export function parseSecondsOrDuration(text: string): bigint {
  const seconds = tryFloat(text);
  if (seconds !== null) {
    const ns = seconds * 1e9;
    if (!(Math.abs(ns) < 2 ** 63)) {
      throw new BadRequestError(`cannot parse ${JSON.stringify(text)} to a valid duration. It overflows int64`);
    }
    return BigInt(Math.trunc(ns));
  }
  try {
    return BigInt(parsePrometheusDuration(text));
  } catch (error: unknown) {
    throw new BadRequestError(`cannot parse ${JSON.stringify(text)} to a valid duration`, { cause: error });
  }
}

export function parseLimit(text: string | null, fallback: number = DEFAULT_LIMIT): number {
  if (text === null || text === '') return fallback;
  const limit = parseAtoi(text);
  if (limit <= 0n) throw new BadRequestError('limit must be a positive value');
  return Number(BigInt.asUintN(32, limit)); // Loki keeps a limit in 32 bits
}

/** Go's strconv.Atoi. */
export function parseAtoi(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) {
    throw new BadRequestError(`strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  if (value > INT64_MAX || value < -INT64_MAX - 1n) {
    throw new BadRequestError(`strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`);
  }
  return value;
}

function parseDirection(text: string | null): Direction {
  const word = (text ?? '').toLowerCase();
  if (word === '' || word === 'backward') return 'backward';
  if (word === 'forward') return 'forward';
  throw new BadRequestError(`invalid direction '${text}'`);
}

function tryFloat(text: string): number | null {
  try {
    return parseGoFloat(text);
  } catch {
    return null; // not a number: the caller tries the next form
  }
}

function named<T>(parameter: string, parse: () => T): T {
  try {
    return parse();
  } catch (error: unknown) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new BadRequestError(`could not parse '${parameter}' parameter: ${reason}`, { cause: error });
  }
}
