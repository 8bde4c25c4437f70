import { type Label, type Labels, sortLabels } from '../labels.ts';
import { PLAIN_NAME } from './build.ts';
import { LabelScanner, type LabelToken } from './labels-scanner.ts';
import type { ParseError } from './parse-error.ts';

const METRIC_NAME = '__name__';

/**
 * The labels of a pushed stream, from Prometheus' text form of a metric: `{app="web", env="prod"}`. Sorted by name,
 * without empty values. A name that is given twice is there twice, side by side. Throws `ParseError` with Prometheus'
 * text. Runs for each new stream: the usual form takes about a microsecond.
 *
 * @example parseLabelsString('{b="2", a="1"}') // [['a', '1'], ['b', '2']]
 */
export function parseLabelsString(text: string): Labels {
  return sortLabels(parseLabelPairs(text).filter(([, value]) => value !== ''));
}

/** As `parseLabelsString`, but in the order of the text and with empty values. */
export function parseLabelPairs(text: string): Label[] {
  return readUsualForm(text) ?? readAnyForm(text);
}

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const EQUALS = 61;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const REPLACEMENT = 0xfffd;

/** The form that clients print; null for any other, also for a wrong one. */
function readUsualForm(text: string): Label[] | null {
  if (text.charCodeAt(0) !== OPEN_BRACE) return null;
  const labels: Label[] = [];
  let at = 1;
  if (text.charCodeAt(at) === CLOSE_BRACE) return text.length === 2 ? labels : null;
  for (;;) {
    const nameStart = at;
    let unit = text.charCodeAt(at);
    if (!isNameStart(unit)) return null;
    do unit = text.charCodeAt(++at);
    while (isNameStart(unit) || (unit >= 48 && unit <= 57));
    if (unit !== EQUALS || text.charCodeAt(at + 1) !== QUOTE) return null;
    const name = text.slice(nameStart, at);
    const valueStart = (at += 2);
    for (unit = text.charCodeAt(at); unit !== QUOTE; unit = text.charCodeAt(++at)) {
      if (unit === BACKSLASH || unit === 10 || unit === REPLACEMENT || Number.isNaN(unit)) return null;
    }
    labels.push([name, text.slice(valueStart, at++)]);
    unit = text.charCodeAt(at++);
    if (unit === CLOSE_BRACE) return at === text.length ? labels : null;
    if (unit !== COMMA) return null;
    if (text.charCodeAt(at) === SPACE) at++;
  }
}

function isNameStart(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90) || unit === 95;
}

/** `metric{name="value", "name"="value", "metric",}`, each part of which may be missing. */
function readAnyForm(text: string): Label[] {
  const scanner = new LabelScanner(text);
  let labels: Label[] = [];
  let token = scanner.next();
  let metric: string | null = null;
  if (token.kind === 'metric') {
    metric = token.text;
    token = scanner.next();
  }
  if (token.kind === 'open brace') {
    labels = readList(scanner);
    token = scanner.next();
  }
  if (token.kind !== 'end') throw unexpected(scanner, token);
  if (metric === null) return labels;
  return [...labels.filter(([name]) => name !== METRIC_NAME), [METRIC_NAME, metric]];
}

/** From behind the opening brace to behind the closing one. */
function readList(scanner: LabelScanner): Label[] {
  const labels: Label[] = [];
  for (;;) {
    let token = scanner.next();
    if (token.kind === 'close brace') return labels;
    if (token.kind !== 'identifier' && token.kind !== 'string') {
      throw unexpected(scanner, token, ' in label set, expected identifier or "}"');
    }
    const name = token;
    token = scanner.next();
    if (token.kind === 'equals') {
      const value = scanner.next();
      if (value.kind !== 'string') throw unexpected(scanner, value, ' in label set, expected string');
      if (name.kind === 'string') refuseQuotedName(scanner, name);
      labels.push([name.text, value.text]);
      token = scanner.next();
    } else if (name.kind === 'string') {
      labels.push([METRIC_NAME, name.text]);
    } else {
      throw unexpected(scanner, token, ' in label set, expected "="');
    }
    if (token.kind === 'close brace') return labels;
    if (token.kind !== 'comma') throw unexpected(scanner, token, ' in label set, expected "," or "}"');
  }
}

/**
 * Loki stores a stream with a name that only quotes make possible, and then fails each query that meets it. Such a
 * name is refused here, with the text that those queries fail with.
 */
function refuseQuotedName(scanner: LabelScanner, { text, start }: LabelToken): void {
  if (PLAIN_NAME.test(text)) return;
  if (text === '') throw scanner.errorAt(start, 'unexpected "=" in label set, expected identifier or "}"');
  const bad = [...text].findIndex((char, i) => !PLAIN_NAME.test(i === 0 ? char : `_${char}`));
  throw scanner.errorAt(start + bad, `unexpected character inside braces: '${[...text][bad]}'`);
}

function unexpected(scanner: LabelScanner, token: LabelToken, context = ''): ParseError {
  return scanner.errorAt(token.start, `unexpected ${token.description}${context}`);
}
