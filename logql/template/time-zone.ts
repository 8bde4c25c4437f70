/** A zone of Go's `time.Location`: UTC, a fixed offset, or a name of the tz database (read through `Intl`). */
export interface Zone {
  /** Offset east of UTC in seconds and the abbreviation ('' if none is known) at an instant. */
  at(unixSeconds: number): { readonly offset: number; readonly abbreviation: string };
}

const UTC_AT = { offset: 0, abbreviation: 'UTC' };

export const UTC: Zone = { at: () => UTC_AT };

export function fixedZone(abbreviation: string, offset: number): Zone {
  const at = { offset, abbreviation };
  return { at: () => at };
}

/** Zones stay: there are few in the tz database, and a formatter is dear to make. */
const zones = new Map<string, Zone>();

/** Go's `time.LoadLocation`; null for a name that is none. The local zone is UTC. */
export function loadZone(name: string): Zone | null {
  if (name === '' || name === 'UTC' || name === 'Local') return UTC;
  let zone: Zone | null | undefined = zones.get(name);
  if (zone === undefined) {
    zone = openZone(name);
    if (zone !== null) zones.set(name, zone);
  }
  return zone;
}

function openZone(name: string): Zone | null {
  if (!/^[A-Za-z]/.test(name)) return null;
  let clock: Intl.DateTimeFormat;
  try {
    clock = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (error: unknown) {
    if (error instanceof RangeError) return null; // an unknown zone
    throw error;
  }
  const names = LOCALES.map(
    (locale) => new Intl.DateTimeFormat(locale, { timeZone: name, timeZoneName: 'short', year: 'numeric' }),
  );
  return {
    at(unixSeconds) {
      const ms = Math.max(-MAX_DATE_MS, Math.min(MAX_DATE_MS, unixSeconds * 1000));
      const offset = offsetAt(clock, ms);
      return { offset, abbreviation: abbreviationAt(clock, names, name, ms, offset) };
    },
  };
}

/** Range of an ECMAScript `Date`. */
const MAX_DATE_MS = 8.64e15 - 86_400_000;

function offsetAt(clock: Intl.DateTimeFormat, ms: number): number {
  const part: Record<string, string> = {};
  for (const { type, value } of clock.formatToParts(ms)) part[type] = value;
  const year = part['era'] === 'BC' ? 1 - Number(part['year']) : Number(part['year']);
  const local = new Date(0);
  local.setUTCFullYear(year, Number(part['month']) - 1, Number(part['day']));
  local.setUTCHours(Number(part['hour']), Number(part['minute']), Number(part['second']));
  return (local.getTime() - Math.floor(ms / 1000) * 1000) / 1000;
}

/** `Intl` gives an abbreviation only in a language of the region; these cover those that the tz database has. */
const LOCALES = ['en-US', 'en-GB', 'en-IE', 'en-AU', 'en-NZ', 'en-IN', 'en-ZA', 'en-KE', 'en-NG'];

/** Abbreviations of the tz database that no locale gives, standard and summer time. */
const ABBREVIATIONS: Readonly<Record<string, readonly [string, string]>> = {
  'Africa/Cairo': ['EET', 'EEST'],
  'Asia/Dubai': ['+04', '+04'],
  'Asia/Hong_Kong': ['HKT', 'HKST'],
  'Asia/Jakarta': ['WIB', 'WIB'],
  'Asia/Jerusalem': ['IST', 'IDT'],
  'Asia/Karachi': ['PKT', 'PKST'],
  'Asia/Manila': ['PST', 'PDT'],
  'Asia/Seoul': ['KST', 'KDT'],
  'Asia/Shanghai': ['CST', 'CDT'],
  'Asia/Taipei': ['CST', 'CDT'],
  'Asia/Tokyo': ['JST', 'JDT'],
  'Europe/Kyiv': ['EET', 'EEST'],
  'Europe/Kiev': ['EET', 'EEST'],
  'Europe/Minsk': ['+03', '+03'],
  'Europe/Moscow': ['MSK', 'MSD'],
  'Europe/Istanbul': ['+03', '+03'],
};

function abbreviationAt(
  clock: Intl.DateTimeFormat,
  names: readonly Intl.DateTimeFormat[],
  zone: string,
  ms: number,
  offset: number,
): string {
  const known = ABBREVIATIONS[zone];
  if (known !== undefined) {
    const year = new Date(ms).getUTCFullYear();
    const winter = Math.min(offsetAt(clock, Date.UTC(year, 0, 1)), offsetAt(clock, Date.UTC(year, 6, 1)));
    return known[offset > winter ? 1 : 0];
  }
  for (const format of names) {
    const name = format.formatToParts(ms).find(({ type }) => type === 'timeZoneName')?.value ?? '';
    if (/^[A-Z]{3,5}$/.test(name)) return name;
  }
  // Where people have no abbreviation, the tz database has the offset.
  const minutes = Math.abs(Math.trunc(offset / 60));
  const two = (n: number) => String(n).padStart(2, '0');
  const rest = minutes % 60;
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}${rest === 0 ? '' : two(rest)}`;
}
