const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/;

/**
 * The time of a delete request in whole ms since 1970: RFC 3339, or a number of seconds of exactly ten characters. Null
 * for anything else.
 */
export function parseDeleteTime(text: string): number | null {
  const match = RFC3339.exec(text);
  if (match === null) return parseSeconds(text);
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
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
  const zoneHours = Number(match[9] ?? 0);
  const zoneMinutes = Number(match[10] ?? 0);
  if (!isReal || hour > 23 || minute > 59 || second > 59 || zoneHours > 24 || zoneMinutes > 59) return null;
  const zone = (match[8] === '-' ? -1 : 1) * (zoneHours * 60 + zoneMinutes);
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  return date.getTime() + ((hour * 60 + minute - zone) * 60 + second) * 1000 + ms;
}

function parseSeconds(text: string): number | null {
  if (text.length !== 10 || !/^[+-]?\d*\.?\d+$/.test(text)) return null;
  return Math.trunc(Number(text) * 1000);
}
