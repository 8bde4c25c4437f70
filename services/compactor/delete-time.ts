import { parseRfc3339 } from '../../logql/units/rfc3339.ts';

/**
 * The time of a delete request in whole ms since 1970: RFC 3339, or a number of seconds of exactly ten characters. Null
 * for anything else.
 */
export function parseDeleteTime(text: string): number | null {
  const instant = parseRfc3339(text);
  return instant === null ? parseSeconds(text) : instant.seconds * 1000 + Math.trunc(instant.nanos / 1e6);
}

function parseSeconds(text: string): number | null {
  if (text.length !== 10 || !/^[+-]?\d*\.?\d+$/.test(text)) return null;
  return Math.trunc(Number(text) * 1000);
}
