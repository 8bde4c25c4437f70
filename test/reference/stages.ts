import type { LabelFilter, LineFilter, Stage } from '../../logql/syntax/ast.ts';
import { compileTemplate, type Template, type TemplateData, TemplateError } from '../../logql/template/index.ts';
import { holdsAddress } from './ip.ts';
import { flatten, isWellFormed, JsonCursor, JsonTrouble, labelName, unescapeText, valueAt, visible } from './json.ts';
import { filterLabels, matches, regex } from './label-filter.ts';
import { readLogfmt } from './logfmt.ts';
import type { WorkingRow } from './row.ts';

/** The language's description leaves the answer open: the case is no test. */
export class UnspecifiedError extends Error {}

export interface StageContext {
  /** Labels that a metric query looks at, when it does not look at all. Parsers stop when they have found them. */
  readonly needed: ReadonlySet<string> | null;
  /** By label its first filter, which parsers ask as soon as they set the label. */
  readonly expected: ReadonlyMap<string, LabelFilter>;
}

/** Runs one stage. False: the row is dropped. */
export function runStage(stage: Stage, row: WorkingRow, context: StageContext): boolean {
  switch (stage.kind) {
    case 'line_filter':
      return filterLine(stage, row.filteredLine);
    case 'label_filter':
      return filterLabels(stage.filter, row);
    case 'json':
      return stage.extractions.length > 0 ? jsonExpressions(stage.extractions, row) : json(row, context);
    case 'logfmt':
      return stage.extractions.length > 0
        ? logfmtExpressions(stage.extractions, stage.strict, row)
        : logfmt(stage.strict, stage.keepEmpty, row, context);
    case 'pattern':
      return setAll(row, context, patternCaptures(stage.pattern, row.line), false) !== 'dropped';
    case 'regexp':
      return setAll(row, context, regexpCaptures(stage.pattern, row.line), false) !== 'dropped';
    case 'unpack':
      unpack(row, context);
      return true;
    case 'decolorize':
      row.line = row.line.replaceAll(COLORS, '');
      return true;
    case 'line_format':
      formatted(stage.template, 'line', row, rowData(row), (text) => row.setLine(text));
      return true;
    case 'label_format': {
      let snapshot: TemplateData | null = null;
      for (const item of stage.formats) {
        if (item.kind === 'rename') {
          const value = row.get(item.from);
          if (value === undefined) continue;
          row.set(item.to, value);
          row.drop(item.from);
        } else {
          snapshot ??= { ...rowData(row), ...frozenLabels(row) };
          formatted(item.template, 'label', row, snapshot, (text) => row.set(item.to, text));
        }
      }
      return true;
    }
    case 'drop':
      for (const item of stage.items) {
        const name = typeof item === 'string' ? item : item.name;
        if (typeof item !== 'string' && !matches(item, row.getVisible(name) ?? '')) continue;
        if (name === '__error__') row.error = '';
        if (name === '__error_details__') row.errorDetails = '';
        row.drop(name);
      }
      return true;
    case 'keep':
      for (const [name, value] of row.labels()) {
        const kept = stage.items.some((item) =>
          typeof item === 'string' ? item === name : item.name === name && matches(item, value),
        );
        if (!kept && !name.startsWith('__error')) row.drop(name);
      }
      return true;
    default:
      return stage satisfies never;
  }
}

const COLORS = /\x1b\[[0-9;]*m/g;

function filterLine({ op, operands }: LineFilter, line: string): boolean {
  const positive = op === '|=' || op === '|~' || op === '|>';
  const some = operands.some(({ fn, value }) => {
    if (fn === 'ip' && operands.length === 1) return holdsAddress(value, line);
    if (op === '|=' || op === '!=') return line.includes(value);
    if (op === '|~' || op === '!~') return regex(value).matcher(line).find();
    return matchesPattern(value, line);
  });
  return some === positive;
}

/** `|>`: literals at their first places, each `<_>` at least one character; only the end is held to the line's end. */
function matchesPattern(pattern: string, line: string): boolean {
  if (pattern === '' || line === '') return pattern === line;
  const pieces = pattern.split('<_>');
  let at = 0;
  for (let i = 0; i < pieces.length; i++) {
    if (pieces[i] === '') continue;
    const found = line.indexOf(pieces[i]!, at);
    if (found < 0 || (i > 0 && found === at)) return false;
    at = found + pieces[i]!.length;
  }
  return pieces.at(-1) === '' ? at < line.length : at === line.length;
}

type Found = Iterable<readonly [name: string, value: string]>;

/** Gives labels to a row in order, first ones first. `stops`: when all that are needed have been found. */
function setAll(row: WorkingRow, context: StageContext, found: Found, stops: boolean): 'dropped' | 'stopped' | 'all' {
  const { needed } = context;
  let count = 0;
  for (const [plain, value] of found) {
    const name = row.parserName(plain);
    if (row.firstParsed.has(name) || (needed !== null && !needed.has(name))) continue;
    row.firstParsed.add(name);
    row.set(name, value);
    const filter = context.expected.get(name);
    if (filter !== undefined && !filterLabels(filter, row)) return 'dropped';
    if (stops && ++count === needed?.size) return 'stopped';
  }
  return 'all';
}

function json(row: WorkingRow, context: StageContext): boolean {
  const { needed } = context;
  const entersBelow = (name: string) => needed === null || [...needed].some((other) => other.startsWith(`${name}_`));
  try {
    return setAll(row, context, flatten(row.line, { entersBelow }), true) !== 'dropped';
  } catch (error: unknown) {
    if (!(error instanceof JsonTrouble)) throw error;
    row.fail('JSONParserErr', error.message);
    return true;
  }
}

function jsonExpressions(extractions: readonly { label: string; expression: string }[], row: WorkingRow): boolean {
  if (row.line === '') return true;
  if (!/^["{[]/.test(row.line)) {
    row.fail('JSONParserErr', '');
    return true;
  }
  if (!isWellFormed(row.line)) throw new UnspecifiedError('expressions over broken JSON');
  const paths = new Map(extractions.map(({ label, expression }) => [label, expression]));
  for (const [label, expression] of paths) {
    const value = valueAt(row.line, pathOf(expression));
    if (value === undefined) continue;
    const name = row.parserName(label);
    row.firstParsed.add(name);
    row.set(name, value);
  }
  for (const label of paths.keys()) if (row.get(label) === undefined) row.set(label, '');
  return true;
}

function pathOf(expression: string): (string | number)[] {
  return [...expression.matchAll(/([A-Za-z_]\w*)|\["([^"]*)"\]|\[(\d+)\]/g)].map(
    ([, field, key, index]) => field ?? key ?? Number(index),
  );
}

function logfmt(strict: boolean, keepEmpty: boolean, row: WorkingRow, context: StageContext): boolean {
  const { pairs, error } = readLogfmt(row.line, strict);
  const found = pairs
    .filter(({ value }) => keepEmpty || value !== '')
    .map(({ key, value }) => [labelName('', key), visible(value)] as const)
    .filter(([name]) => name !== '');
  const end = setAll(row, context, found, true);
  if (end === 'dropped') return false;
  if (strict && end === 'all' && error !== '') row.fail('LogfmtParserErr', error);
  return true;
}

function logfmtExpressions(
  extractions: readonly { label: string; expression: string }[],
  strict: boolean,
  row: WorkingRow,
): boolean {
  if (row.line === '') return true;
  const { pairs, error } = readLogfmt(row.line, strict);
  const labels = new Map(extractions.map(({ label, expression }) => [label, expression]));
  const taken = new Set(labels.values());
  for (const { key, value } of pairs) {
    const found = labelName('', key);
    for (const [label, expression] of labels) {
      if (expression !== found && !(label === found && !taken.has(found))) continue;
      const name = row.parserName(label);
      if (name !== label && row.firstParsed.has(name)) continue;
      row.firstParsed.add(name);
      row.set(name, visible(value));
    }
  }
  if (strict && error !== '') row.fail('LogfmtParserErr', error);
  for (const label of labels.keys()) {
    if (row.get(label) !== undefined) continue;
    row.firstParsed.add(label);
    row.set(label, '');
  }
  return true;
}

function* patternCaptures(pattern: string, line: string): Generator<readonly [string, string]> {
  if (line === '') return;
  const parts = pattern.split(/<(\w+)>/); // literals at even places, names at odd ones
  if (!line.startsWith(parts[0]!)) return;
  let at = parts[0]!.length;
  for (let i = 1; i < parts.length; i += 2) {
    const literal = parts[i + 1]!;
    const found = literal === '' ? -1 : line.indexOf(literal, at);
    const end = found < 0 ? line.length : found;
    if (parts[i] !== '_') yield [parts[i]!, line.slice(at, end)];
    if (found < 0) return;
    at = found + literal.length;
  }
}

function* regexpCaptures(pattern: string, line: string): Generator<readonly [string, string]> {
  const compiled = regex(pattern);
  const matcher = compiled.matcher(line);
  if (!matcher.find()) return;
  const names = Object.entries(compiled.namedGroups() as Record<string, number>).sort(([, a], [, b]) => a - b);
  for (const [name, group] of names) yield [name, matcher.group(group) ?? ''];
}

function unpack(row: WorkingRow, context: StageContext): void {
  if (row.line === '') return;
  if (!row.line.startsWith('{')) {
    row.fail('JSONParserErr', 'expecting json object(6), but it is not');
    return;
  }
  if (!isWellFormed(row.line)) throw new UnspecifiedError('unpack of broken JSON');
  const cursor = new JsonCursor(row.line);
  cursor.at = 1;
  let entry: string | null = null;
  const found: [string, string][] = [];
  while (cursor.peek() !== '}') {
    const key = unescapeText(cursor.string(''))!;
    cursor.peek();
    cursor.at++;
    const value = cursor.value();
    if (value.type === 'string') {
      if (key === '_entry') entry = value.text;
      else if (labelName('', key) !== '') found.push([labelName('', key), visible(value.text)]);
    }
    if (cursor.peek() === ',') cursor.at++;
  }
  if (entry === null) return;
  setAll(row, { ...context, expected: new Map() }, found, false);
  row.setLine(entry);
}

const templates = new Map<string, Template>();

export function templateOf(source: string, name: 'line' | 'label'): Template {
  const key = `${name} ${source}`;
  let template = templates.get(key);
  if (template === undefined) {
    template = compileTemplate(source, name);
    templates.set(key, template);
  }
  return template;
}

function formatted(
  source: string,
  name: 'line' | 'label',
  row: WorkingRow,
  data: TemplateData,
  accept: (text: string) => void,
): void {
  try {
    accept(templateOf(source, name).execute(data));
  } catch (error: unknown) {
    if (!(error instanceof TemplateError)) throw error;
    row.fail('TemplateFormatErr', error.message);
  }
}

function rowData(row: WorkingRow): TemplateData {
  return {
    get: (name) => {
      if (name === '__error_details__' && row.errorDetails !== '') return row.errorDetails;
      return row.getVisible(name);
    },
    entries: () => row.labels(),
    line: () => row.line,
    timestampNs: () => row.stored.timestampNs,
  };
}

function frozenLabels(row: WorkingRow): Pick<TemplateData, 'get' | 'entries'> {
  const labels = new Map(row.labels());
  return { get: (name) => labels.get(name), entries: () => labels };
}
