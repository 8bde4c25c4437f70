/** Go's zero time, which overflows to this as nanoseconds since 1970; it stands for an entry without a timestamp. */
const ZERO_TIME_NS = -6795364578871345152n;
const SECOND_NS = 1_000_000_000n;

/** As Go prints a `time.Time` in UTC: `2026-11-23 05:41:00.000000001 +0000 UTC`, the fraction without trailing zeros. */
export function formatGoTime(ns: bigint): string {
  const { date, time, fraction } = parts(ns);
  const digits = String(fraction).padStart(9, '0').replace(/0+$/, '');
  return `${date} ${time}${digits === '' ? '' : `.${digits}`} +0000 UTC`;
}

/** RFC 3339 in UTC, to the second: `2026-11-23T05:41:00Z`. */
export function formatRfc3339Seconds(ns: bigint): string {
  const { date, time } = parts(ns);
  return `${date}T${time}Z`;
}

function parts(ns: bigint): { date: string; time: string; fraction: bigint } {
  if (ns === ZERO_TIME_NS) return { date: '0001-01-01', time: '00:00:00', fraction: 0n };
  const fraction = ((ns % SECOND_NS) + SECOND_NS) % SECOND_NS;
  const iso = new Date(Number((ns - fraction) / 1_000_000n)).toISOString();
  return { date: iso.slice(0, 10), time: iso.slice(11, 19), fraction };
}
