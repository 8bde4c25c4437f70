import { LRUCache } from 'lru-cache';
import type { Label, Labels } from '../../logql/labels.ts';
import { ParseError, parseLabelsString, printLabels } from '../../logql/syntax/index.ts';
import { quoteGo } from '../../logql/units/go-quote.ts';
import type { Limits } from '../config/limits.ts';
import { normaliseLevel } from './level-detect.ts';
import { PushError } from './push-error.ts';
import type { PushedStream } from './push-rows.ts';
import { StreamRules } from './stream-rules.ts';

/** Why a stream is refused, with the reason under which it is counted. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/**
 * What is known about a stream once its labels were seen, for one state of its tenant's limits. Not the labels themselves:
 * there may be a hundred thousand streams, and hardly any push needs more than their text.
 */
export interface KnownStream {
  readonly limits: Limits;
  /** Canonical: `{app="x", service_name="x"}`. */
  readonly text: string;
  readonly refusal: Refusal | null;
  readonly policy: string;
  /** Label `retention_hours` of the metrics; `''` when lines are kept for ever. */
  readonly retentionHours: string;
  /** Streams that Loki's own services write. */
  readonly isInternal: boolean;
  /** What a label says about the level of every line; null when none does. */
  readonly level: string | null;
}

/** Characters of label text kept; about 100 bytes of memory go with each stream beside them. */
const CACHE_CHARACTERS = 32 * 1024 * 1024;
const LABELS_LIMIT_BYTES = 16 * 1024 * 1024;

/** From the bytes of a label set to what is known about its stream; streams that were seen before cost one look-up. */
export class StreamLabels {
  readonly #rules = new WeakMap<Limits, StreamRules>();
  readonly #known = new LRUCache<string, KnownStream>({
    maxSize: CACHE_CHARACTERS,
    sizeCalculation: ({ text }, key) => key.length + 2 * text.length + 100,
  });

  /** Throws PushError 400 when the labels do not parse. */
  resolve(tenant: string, limits: Limits, pushed: PushedStream, source: Buffer): KnownStream {
    const { labelsForm, labelsStart, labelsEnd } = pushed;
    if (labelsEnd - labelsStart > LABELS_LIMIT_BYTES) {
      throw new PushError(
        413,
        `stream labels too large: ${labelsEnd - labelsStart} bytes, limit: ${LABELS_LIMIT_BYTES} bytes`,
      );
    }
    const key = `${labelsForm}\n${tenant}\n${source.toString('latin1', labelsStart, labelsEnd)}`;
    const known = this.#known.get(key);
    if (known !== undefined && known.limits === limits) return known;
    const raw = source.toString('utf8', labelsStart, labelsEnd);
    const labels = parse(labelsForm === 'json-object' ? selectorOf(raw) : raw);
    const discover = labelsForm === 'whole-selector' ? [] : limits.discover_service_name;
    const stream = this.#judge(tenant, limits, labels, discover);
    this.#known.set(key, stream);
    return stream;
  }

  #judge(tenant: string, limits: Limits, pushed: readonly Label[], discover: readonly string[]): KnownStream {
    const isInternal = pushed.some(([name]) => name === '__aggregated_metric__' || name === '__pattern__');
    const labels = isInternal ? pushed : withServiceName(pushed, discover);
    const text = printLabels(labels);
    const rules = this.#rulesOf(limits);
    const policy = rules.policyOf(labels);
    return {
      limits,
      text,
      refusal: checkLabels(labels, text, limits, isInternal) ?? checkEnforced(labels, text, limits, tenant, policy),
      policy,
      retentionHours: rules.retentionHoursOf(labels),
      isInternal,
      level: levelOf(labels, limits.log_level_fields),
    };
  }

  #rulesOf(limits: Limits): StreamRules {
    let rules = this.#rules.get(limits);
    if (rules === undefined) {
      rules = new StreamRules(limits);
      this.#rules.set(limits, rules);
    }
    return rules;
  }
}

function parse(text: string): Labels {
  try {
    return parseLabelsString(text);
  } catch (error: unknown) {
    if (!(error instanceof ParseError)) throw error;
    throw new PushError(400, `couldn't parse labels: ${error.message}`, { cause: error });
  }
}

/** A JSON object as the selector that Loki makes of it: names sorted and unquoted, values quoted. Of equal names the last. */
function selectorOf(json: string): string {
  const values = new Map<string, string>();
  for (const [name, value] of members(json)) values.set(name, value);
  const names = [...values.keys()].sort();
  return `{${names.map((name) => `${name}=${quoteGo(values.get(name)!)}`).join(', ')}}`;
}

const MEMBER = /\s*"((?:[^"\\]|\\.)*)"\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,}\]"{[]+|[{[])/gsy;

/** Members of an object that was already checked. A value that is no string counts as its own text. */
function* members(json: string): Generator<[string, string]> {
  MEMBER.lastIndex = json.indexOf('{') + 1;
  for (;;) {
    const start = MEMBER.lastIndex;
    const match = MEMBER.exec(json);
    if (match === null) return;
    const [, name, value] = match as unknown as [string, string, string];
    let end = start + match[0].length;
    let text = value;
    if (value === '{' || value === '[') {
      const from = end - 1;
      end = nestedEnd(json, from);
      text = json.slice(from, end);
    } else if (value.startsWith('"')) text = unescapeJson(value.slice(1, -1));
    yield [unescapeJson(name), text];
    while (end < json.length && json[end] !== ',') end++;
    if (end >= json.length) return;
    MEMBER.lastIndex = end + 1;
  }
}

function nestedEnd(json: string, at: number): number {
  let depth = 0;
  for (let inString = false; at < json.length; at++) {
    const character = json[at]!;
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth++;
    else if ((character === '}' || character === ']') && --depth === 0) return at + 1;
  }
  return at;
}

function unescapeJson(text: string): string {
  if (!text.includes('\\')) return text;
  let value: unknown;
  try {
    value = JSON.parse(`"${text}"`);
  } catch (error: unknown) {
    throw new PushError(400, 'invalid JSON in push request: bad escape in a label', { cause: error });
  }
  if (!(value as string).isWellFormed()) {
    throw new PushError(400, 'invalid JSON in push request: half of a surrogate pair in a label');
  }
  return value as string;
}

function withServiceName(labels: readonly Label[], discover: readonly string[]): readonly Label[] {
  if (discover.length === 0 || labels.some(([name]) => name === 'service_name')) return labels;
  const values = new Map([...labels].reverse());
  const found = discover.find((name) => values.has(name));
  const value = found === undefined ? 'unknown_service' : values.get(found)!;
  const at = labels.findIndex(([name]) => name > 'service_name');
  return labels.toSpliced(at < 0 ? labels.length : at, 0, ['service_name', value]);
}

function checkLabels(labels: Labels, text: string, limits: Limits, isInternal: boolean): Refusal | null {
  if (labels.length === 0) {
    return { reason: 'missing_labels', message: 'error at least one label pair is required per stream' };
  }
  if (isInternal) return null;
  const count = labels.length - (labels.some(([name]) => name === 'service_name') ? 1 : 0);
  const limit = limits.max_label_names_per_series;
  if (count > limit) {
    return {
      reason: 'max_label_names_per_series',
      message: `entry for stream '${text}' has ${count} label names; limit ${limit}`,
    };
  }
  let previous = '';
  for (const [name, value] of labels) {
    if (Buffer.byteLength(name) > limits.max_label_name_length) {
      return { reason: 'label_name_too_long', message: `stream '${text}' has label name too long: '${name}'` };
    }
    if (Buffer.byteLength(value) > limits.max_label_value_length) {
      return { reason: 'label_value_too_long', message: `stream '${text}' has label value too long: '${value}'` };
    }
    if (name === previous) {
      return { reason: 'duplicate_label_names', message: `stream '${text}' has duplicate label name: '${name}'` };
    }
    previous = name;
  }
  return null;
}

function checkEnforced(labels: Labels, text: string, limits: Limits, tenant: string, policy: string): Refusal | null {
  const required = [...(limits.policy_enforced_labels[policy] ?? []), ...limits.enforced_labels];
  const missing = [...new Set(required)].filter((wanted) => !labels.some(([name]) => name === wanted));
  if (missing.length === 0) return null;
  return {
    reason: 'missing_enforced_labels',
    message: `missing required labels '${missing.join(',')}' for user '${tenant}' for stream '${text}' (policy: '${policy}')`,
  };
}

function levelOf(labels: Labels, fields: readonly string[]): string | null {
  for (const field of fields) {
    const label = labels.find(([name]) => name === field);
    if (label !== undefined) return normaliseLevel(label[1]);
  }
  return null;
}
