export interface Instant {
  /** Since 1970; may be negative. */
  readonly seconds: number;
  /** 0..999999999, always forward from `seconds`. */
  readonly nanos: number;
}

const PATTERN = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/** RFC 3339 with any number of decimals, of which nine count; null when it is anything else. */
export function parseRfc3339(text: string): Instant | null {
  const parts = PATTERN.exec(text);
  if (parts === null) return null;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  const isReal = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!isReal || hour > 23 || minute > 59 || second > 59) return null;
  const zoneHours = Number(parts[9] ?? 0);
  const zoneMinutes = Number(parts[10] ?? 0);
  if (zoneHours > 24 || zoneMinutes > 59) return null;
  const zone = (parts[8] === '-' ? -1 : 1) * (zoneHours * 3600 + zoneMinutes * 60);
  const seconds = date.getTime() / 1000 + hour * 3600 + minute * 60 + second - zone;
  return { seconds, nanos: Number((parts[7] ?? '').padEnd(9, '0').slice(0, 9)) };
}

/** `2026-11-23T05:43:28Z`: whole seconds, UTC, as Go's `time.RFC3339` prints them. */
export function formatRfc3339(seconds: number): string {
  const text = new Date(Math.floor(seconds) * 1000).toISOString();
  return `${text.slice(0, text.lastIndexOf('.'))}Z`;
}

/** Nanoseconds since 1970, or null when the text is not RFC 3339. */
export function parseRfc3339Ns(text: string): bigint | null {
  const instant = parseRfc3339(text);
  return instant === null ? null : BigInt(instant.seconds) * 1_000_000_000n + BigInt(instant.nanos);
}

/** RFC 3339 in UTC with as many decimals as the time has. */
export function formatRfc3339Nano(ns: bigint): string {
  const seconds = ns >= 0n ? ns / 1_000_000_000n : -((-ns + 999_999_999n) / 1_000_000_000n);
  const rest = ns - seconds * 1_000_000_000n;
  const base = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  const fraction = rest === 0n ? '' : `.${String(rest).padStart(9, '0').replace(/0+$/, '')}`;
  return `${base}${fraction}Z`;
}
