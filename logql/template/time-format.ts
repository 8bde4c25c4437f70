import { type Civil, type GoTime, MONTHS, WEEKDAYS } from './time.ts';
import { splitLayout } from './time-layout.ts';

/** Go's `Time.Format`. */
export function formatTime(time: GoTime, layout: string): string {
  const { civil } = time;
  let out = '';
  for (const { prefix, element } of splitLayout(layout)) out += prefix + formatElement(civil, element);
  return out;
}

/** Go's `Time.String`. */
export function showTime(time: GoTime): string {
  return formatTime(time, '2006-01-02 15:04:05.999999999 -0700 MST');
}

function formatElement(t: Civil, element: string): string {
  switch (element) {
    case '':
      return '';
    case '2006':
      return padded(t.year, 4);
    case '06':
      return padded(((t.year % 100) + 100) % 100, 2);
    case 'January':
      return MONTHS[t.month - 1]!;
    case 'Jan':
      return MONTHS[t.month - 1]!.slice(0, 3);
    case '1':
      return String(t.month);
    case '01':
      return padded(t.month, 2);
    case 'Monday':
      return WEEKDAYS[t.weekday]!;
    case 'Mon':
      return WEEKDAYS[t.weekday]!.slice(0, 3);
    case '2':
      return String(t.day);
    case '_2':
      return String(t.day).padStart(2);
    case '02':
      return padded(t.day, 2);
    case '__2':
      return String(t.yearDay).padStart(3);
    case '002':
      return padded(t.yearDay, 3);
    case '15':
      return padded(t.hour, 2);
    case '3':
      return String(t.hour % 12 || 12);
    case '03':
      return padded(t.hour % 12 || 12, 2);
    case '4':
      return String(t.minute);
    case '04':
      return padded(t.minute, 2);
    case '5':
      return String(t.second);
    case '05':
      return padded(t.second, 2);
    case 'PM':
      return t.hour >= 12 ? 'PM' : 'AM';
    case 'pm':
      return t.hour >= 12 ? 'pm' : 'am';
    case 'MST':
      return t.abbreviation === '' ? formatOffset(t.offset, '-0700') : t.abbreviation;
    default:
  }
  if (element[0] === '.' || element[0] === ',') return formatFraction(t.nanosecond, element);
  return element[0] === 'Z' && t.offset === 0 ? 'Z' : formatOffset(t.offset, element);
}

function formatFraction(nanosecond: number, element: string): string {
  const digits = padded(nanosecond, 9)
    .padEnd(element.length - 1, '0')
    .slice(0, element.length - 1);
  if (element[1] === '0') return element[0] + digits;
  const trimmed = digits.replace(/0+$/, '');
  return trimmed === '' ? '' : element[0] + trimmed;
}

/** `element` says how: `-07`, `-0700`, `-07:00`, `-070000`, `-07:00:00`, or with `Z` in front. */
function formatOffset(offset: number, element: string): string {
  const size = Math.abs(offset);
  const colon = element.includes(':') ? ':' : '';
  const pieces = [padded(Math.floor(size / 3600), 2)];
  const digits = element.replace(/[^0-9]/g, '').length;
  if (digits > 2) pieces.push(padded(Math.floor(size / 60) % 60, 2));
  if (digits > 4) pieces.push(padded(size % 60, 2));
  return (offset < 0 ? '-' : '+') + pieces.join(colon);
}

function padded(value: number, width: number): string {
  return value < 0 ? `-${String(-value).padStart(width, '0')}` : String(value).padStart(width, '0');
}
