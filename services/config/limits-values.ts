import { compileRegex, RegexError } from '../../logql/regex/index.ts';
import { formatPrometheusDuration } from '../../logql/units/index.ts';
import { FieldError, parseDurationMs } from './field.ts';
import type {
  BlockedQuery,
  GenericFields,
  OtlpAttributeRule,
  OtlpConfig,
  PolicyRule,
  StreamRetention,
} from './limits.ts';

/** Readers of limits that are mappings or lists. Each throws FieldError saying what was expected. */

export function readMapping(value: unknown): Readonly<Record<string, unknown>> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new FieldError('expected a mapping');
  return value as Record<string, unknown>;
}

function readList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new FieldError('expected a list');
  return value;
}

function readTextList(value: unknown): readonly string[] {
  return readList(value).map((item) => {
    if (item === null || typeof item === 'object') throw new FieldError('expected a list of texts');
    return String(item);
  });
}

const mapValues = <T>(value: unknown, read: (item: unknown) => T): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(readMapping(value)).map(([name, item]) => [name, read(item)]));

function onlyKeys(value: unknown, allowed: readonly string[]): Readonly<Record<string, unknown>> {
  const mapping = readMapping(value);
  for (const key of Object.keys(mapping)) {
    if (!allowed.includes(key)) throw new FieldError(`unknown key ${key}; expected ${allowed.join(', ')}`);
  }
  return mapping;
}

export const readTexts = (value: unknown): Readonly<Record<string, string>> => mapValues(value, (item) => String(item));
export const readTextLists = (value: unknown): Readonly<Record<string, readonly string[]>> =>
  mapValues(value, readTextList);
export const readOverrides = (value: unknown): Readonly<Record<string, Readonly<Record<string, unknown>>>> =>
  mapValues(value, readMapping);

/** RFC 3339 → ms since 1970. */
export const readTimes = (value: unknown): Readonly<Record<string, number>> =>
  mapValues(value, (item) => {
    const ms = item instanceof Date ? item.getTime() : Date.parse(String(item));
    if (Number.isNaN(ms)) throw new FieldError('expected a time such as 2026-01-31T00:00:00Z');
    return ms;
  });

export function readGenericFields(value: unknown): GenericFields {
  const { fields } = onlyKeys(value, ['fields']);
  return fields === undefined || fields === null ? {} : { fields: readTextLists(fields) };
}

export const readPolicies = (value: unknown): Readonly<Record<string, readonly PolicyRule[]>> =>
  mapValues(value, (rules) =>
    readList(rules).map((rule) => {
      const { selector, priority } = onlyKeys(rule, ['selector', 'priority']);
      return { selector: readSelector(selector), priority: readPriority(priority) };
    }),
  );

export const readRetention = (value: unknown): readonly StreamRetention[] =>
  readList(value).map((rule) => {
    const { selector, priority, period } = onlyKeys(rule, ['selector', 'priority', 'period']);
    const wrong = () => new FieldError('expected period as a duration such as 24h or 7d');
    const periodMs = parseDurationMs(String(period ?? ''), wrong);
    if (periodMs < LEAST_PERIOD_MS) {
      throw new FieldError(`retention period must be >= 24h was ${formatPrometheusDuration(periodMs * 1e6)}`);
    }
    return { selector: readSelector(selector), priority: readPriority(priority), period: periodMs };
  });

/** Loki's bound for single streams; a tenant's own period may be shorter. */
const LEAST_PERIOD_MS = 24 * 3_600_000;

function readSelector(value: unknown): string {
  if (typeof value !== 'string') throw new FieldError('expected selector as a text such as {app="web"}');
  return value;
}

function readPriority(value: unknown): number {
  const priority = value === undefined ? 0 : Number(value);
  if (!Number.isInteger(priority)) throw new FieldError('expected priority as a whole number');
  return priority;
}

export const readBlockedQueries = (value: unknown): readonly BlockedQuery[] =>
  readList(value).map((item) => {
    const rule = onlyKeys(item, ['pattern', 'regex', 'hash', 'types', 'query_tags', 'tags']);
    const types = rule['types'];
    const tags = rule['query_tags'] ?? rule['tags'];
    if (rule['regex'] === true) checkRegex(String(rule['pattern'] ?? ''));
    return {
      ...(rule['pattern'] === undefined ? {} : { pattern: String(rule['pattern']) }),
      ...(rule['regex'] === undefined ? {} : { regex: rule['regex'] === true }),
      ...(rule['hash'] === undefined ? {} : { hash: Number(rule['hash']) }),
      ...(types === undefined ? {} : { types: typeof types === 'string' ? types.split(',') : readTextList(types) }),
      ...(tags === undefined ? {} : { query_tags: readTexts(tags) }),
    };
  });

function checkRegex(pattern: string): void {
  try {
    compileRegex(pattern);
  } catch (error: unknown) {
    if (!(error instanceof RegexError)) throw error;
    throw new FieldError(`expected pattern as a regular expression: ${error.message}`);
  }
}

const ACTIONS = ['index_label', 'structured_metadata', 'drop'];

export function readOtlpConfig(value: unknown): OtlpConfig | null {
  if (value === null || value === undefined) return null;
  const config = onlyKeys(value, [
    'resource_attributes',
    'scope_attributes',
    'log_attributes',
    'severity_text_as_label',
  ]);
  const resource = config['resource_attributes'];
  return {
    ...(resource === undefined || resource === null ? {} : { resource_attributes: readResourceAttributes(resource) }),
    ...(config['scope_attributes'] ? { scope_attributes: readAttributeRules(config['scope_attributes'], false) } : {}),
    ...(config['log_attributes'] ? { log_attributes: readAttributeRules(config['log_attributes'], true) } : {}),
    ...(config['severity_text_as_label'] === undefined
      ? {}
      : { severity_text_as_label: config['severity_text_as_label'] === true }),
  };
}

function readResourceAttributes(value: unknown): NonNullable<OtlpConfig['resource_attributes']> {
  const resource = onlyKeys(value, ['ignore_defaults', 'attributes_config']);
  return {
    ...(resource['ignore_defaults'] === undefined ? {} : { ignore_defaults: resource['ignore_defaults'] === true }),
    ...(resource['attributes_config']
      ? { attributes_config: readAttributeRules(resource['attributes_config'], true) }
      : {}),
  };
}

function readAttributeRules(value: unknown, mayIndex: boolean): readonly OtlpAttributeRule[] {
  return readList(value).map((item) => {
    const rule = onlyKeys(item, ['action', 'attributes', 'regex']);
    const action = String(rule['action'] ?? 'structured_metadata');
    if (!ACTIONS.includes(action)) throw new FieldError(`expected action as one of ${ACTIONS.join(', ')}`);
    if (action === 'index_label' && !mayIndex) {
      throw new FieldError('scope attributes cannot become labels: expected structured_metadata or drop');
    }
    const hasAttributes = rule['attributes'] !== undefined && rule['attributes'] !== null;
    const hasRegex = rule['regex'] !== undefined && rule['regex'] !== null && rule['regex'] !== '';
    if (hasAttributes === hasRegex) throw new FieldError('expected either attributes or regex in each rule');
    return {
      action: action as OtlpAttributeRule['action'],
      ...(hasAttributes ? { attributes: readTextList(rule['attributes']) } : { regex: String(rule['regex']) }),
    };
  });
}
