import { daysInMonth, GoTime, isLeapYear, MONTHS, WEEKDAYS } from './time.ts';
import { splitLayout } from './time-layout.ts';
import { fixedZone, UTC, type Zone } from './time-zone.ts';

/** Go's `time.ParseInLocation`; null when the text is not of that form (the templates show no reason). */
export function parseTime(layout: string, text: string, zone: Zone): GoTime | null {
  return new Reader(text, zone).read(layout);
}

class Reader {
  readonly #zone: Zone;
  #rest: string;
  #year = 0;
  #month = -1;
  #day = -1;
  #yearDay = -1;
  #hour = 0;
  #minute = 0;
  #second = 0;
  #nanosecond = 0;
  #afternoon: boolean | null = null;
  #isUtc = false;
  #offset: number | null = null;
  #abbreviation = '';

  constructor(text: string, zone: Zone) {
    this.#rest = text;
    this.#zone = zone;
  }

  read(layout: string): GoTime | null {
    const parts = splitLayout(layout);
    for (const [i, { prefix, element }] of parts.entries()) {
      if (!this.#skip(prefix)) return null;
      if (element === '') return this.#rest === '' ? this.#result() : null;
      if (!this.#element(element, parts[i + 1]!.prefix === '' ? parts[i + 1]!.element : '')) return null;
    }
    return null;
  }

  /** Text must be there as in the layout, except that a space stands for any number of them. */
  #skip(prefix: string): boolean {
    let i = 0;
    while (i < prefix.length) {
      if (prefix[i] === ' ') {
        if (this.#rest !== '' && this.#rest[0] !== ' ') return false;
        while (prefix[i] === ' ') i++;
        this.#rest = this.#rest.replace(/^ +/, '');
      } else {
        if (this.#rest[0] !== prefix[i]) return false;
        this.#rest = this.#rest.slice(1);
        i++;
      }
    }
    return true;
  }

  #element(element: string, following: string): boolean {
    switch (element) {
      case '2006':
        return (this.#year = this.#take(/^[0-9]{4}/)) >= 0;
      case '06': {
        const year = this.#take(/^[0-9]{2}/);
        this.#year = year >= 69 ? year + 1900 : year + 2000;
        return year >= 0;
      }
      case 'January':
        return (this.#month = this.#name(MONTHS, Number.POSITIVE_INFINITY) + 1) > 0;
      case 'Jan':
        return (this.#month = this.#name(MONTHS, 3) + 1) > 0;
      case '1':
      case '01':
        this.#month = this.#number(element === '01');
        return this.#month >= 1 && this.#month <= 12;
      case 'Monday':
        return this.#name(WEEKDAYS, Number.POSITIVE_INFINITY) >= 0;
      case 'Mon':
        return this.#name(WEEKDAYS, 3) >= 0;
      case '_2':
      case '2':
      case '02':
        if (element === '_2' && this.#rest[0] === ' ') this.#rest = this.#rest.slice(1);
        return (this.#day = this.#number(element === '02')) >= 0;
      case '__2':
      case '002':
        for (let i = 0; element === '__2' && i < 2 && this.#rest[0] === ' '; i++) this.#rest = this.#rest.slice(1);
        return (this.#yearDay = this.#take(element === '002' ? /^[0-9]{3}/ : /^[0-9]{1,3}/)) >= 0;
      case '15':
        this.#hour = this.#number(false);
        return this.#hour >= 0 && this.#hour < 24;
      case '3':
      case '03':
        this.#hour = this.#number(element === '03');
        return this.#hour >= 0 && this.#hour <= 12;
      case '4':
      case '04':
        this.#minute = this.#number(element === '04');
        return this.#minute >= 0 && this.#minute < 60;
      case '5':
      case '05':
        this.#second = this.#number(element === '05');
        // A fraction is read after the seconds even where the layout has none.
        if (!/^[.,]/.test(following)) this.#fraction(/^[.,][0-9]+/);
        return this.#second >= 0 && this.#second < 60;
      case 'PM':
      case 'pm': {
        const mark = this.#rest.slice(0, 2);
        this.#rest = this.#rest.slice(2);
        this.#afternoon = mark === element;
        return mark === element || mark === (element === 'PM' ? 'AM' : 'am');
      }
      case 'MST':
        return this.#zoneAbbreviation();
      default:
    }
    if (element[0] === '.' || element[0] === ',') {
      const size = element.length - 1;
      if (element[1] === '9') return this.#fraction(/^[.,][0-9]{1,9}/) || true;
      return this.#fraction(new RegExp(`^[.,][0-9]{${Math.min(size, 9)}}`));
    }
    return this.#zoneOffset(element);
  }

  #take(pattern: RegExp): number {
    const match = pattern.exec(this.#rest);
    if (match === null) return -1;
    this.#rest = this.#rest.slice(match[0].length);
    return Number(match[0]);
  }

  #number(twoDigits: boolean): number {
    return this.#take(twoDigits ? /^[0-9]{2}/ : /^[0-9]{1,2}/);
  }

  #fraction(pattern: RegExp): boolean {
    const match = pattern.exec(this.#rest);
    if (match === null) return false;
    this.#rest = this.#rest.slice(match[0].length);
    this.#nanosecond = Number(match[0].slice(1, 10).padEnd(9, '0'));
    return true;
  }

  #name(names: readonly string[], length: number): number {
    const rest = this.#rest.toLowerCase();
    const index = names.findIndex((name) => rest.startsWith(name.slice(0, length).toLowerCase()));
    if (index >= 0) this.#rest = this.#rest.slice(names[index]!.slice(0, length).length);
    return index;
  }

  /** `UTC`, `GMT+3`, `+03`, or three to five capital letters as Go accepts them. */
  #zoneAbbreviation(): boolean {
    const match =
      /^(?:UTC|ChST|MeST|GMT(?:[+-](?:1[0-9]|2[0-3]|[0-9]))?|WITA(?![A-Z])|[A-Z]{4}T(?![A-Z])|[A-Z]{3}T(?![A-Z])|[A-Z]{3}(?![A-Z])|[+-](?:1[0-9]|2[0-3]|0[0-9]))/.exec(
        this.#rest,
      );
    if (match === null) return false;
    this.#rest = this.#rest.slice(match[0].length);
    if (match[0] === 'UTC') this.#isUtc = true;
    else this.#abbreviation = match[0];
    return true;
  }

  #zoneOffset(element: string): boolean {
    if (element[0] === 'Z' && this.#rest[0] === 'Z') {
      this.#rest = this.#rest.slice(1);
      this.#isUtc = true;
      return true;
    }
    const digits = element.replace(/[^0-9]/g, '').length / 2;
    const colon = element.includes(':') ? ':' : '';
    const match = new RegExp(`^([+-])([0-9]{2}${`${colon}[0-9]{2}`.repeat(digits - 1)})`).exec(this.#rest);
    if (match === null) return false;
    const [hours, minutes, seconds] = match[2]!.replaceAll(':', '').match(/../g)!.map(Number);
    if (hours! > 24 || (minutes ?? 0) > 60 || (seconds ?? 0) > 60) return false;
    this.#rest = this.#rest.slice(match[0].length);
    const size = hours! * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
    this.#offset = match[1] === '-' ? -size : size;
    return true;
  }

  #result(): GoTime | null {
    let hour = this.#hour;
    if (this.#afternoon === true && hour < 12) hour += 12;
    if (this.#afternoon === false && hour === 12) hour = 0;
    if (!this.#resolveYearDay()) return null;
    const month = this.#month < 0 ? 1 : this.#month;
    const day = this.#day < 0 ? 1 : this.#day;
    if (day < 1 || day > daysInMonth(month, this.#year)) return null;
    const clock = {
      year: this.#year,
      month,
      day,
      hour,
      minute: this.#minute,
      second: this.#second,
      nanosecond: this.#nanosecond,
    };
    if (this.#isUtc) return GoTime.fromWallClock(clock, UTC);
    if (this.#offset !== null) {
      const utc = GoTime.fromWallClock(clock, UTC);
      const unixNs = utc.unixNs - BigInt(this.#offset) * 1_000_000_000n;
      const local = new GoTime(unixNs, this.#zone);
      const { offset, abbreviation } = local.civil;
      const isLocal = offset === this.#offset && (this.#abbreviation === '' || abbreviation === this.#abbreviation);
      return isLocal ? local : new GoTime(unixNs, fixedZone(this.#abbreviation, this.#offset));
    }
    if (this.#abbreviation === '') return GoTime.fromWallClock(clock, this.#zone);
    const local = GoTime.fromWallClock(clock, this.#zone);
    if (local.civil.abbreviation === this.#abbreviation) return local;
    // A zone of unknown offset: the name is kept, the clock read as UTC.
    const hours = /^GMT([+-][0-9]+)$/.exec(this.#abbreviation);
    const zone = fixedZone(this.#abbreviation, hours === null ? 0 : Number(hours[1]) * 3600);
    return GoTime.fromWallClock(clock, UTC).in(zone);
  }

  /** A day of the year gives month and day, and must agree with those that are given. */
  #resolveYearDay(): boolean {
    if (this.#yearDay < 0) return true;
    if (this.#yearDay < 1 || this.#yearDay > (isLeapYear(this.#year) ? 366 : 365)) return false;
    let day = this.#yearDay;
    let month = 1;
    while (day > daysInMonth(month, this.#year)) day -= daysInMonth(month++, this.#year);
    if ((this.#month >= 0 && this.#month !== month) || (this.#day >= 0 && this.#day !== day)) return false;
    this.#month = month;
    this.#day = day;
    return true;
  }
}
