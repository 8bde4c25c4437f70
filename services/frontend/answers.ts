import type { Labels } from '../../logql/labels.ts';
import type { GroupLabels } from '../../logql/stages/types.ts';
import type { LogEntry } from '../querier/log-response.ts';
import type { BytesAnswer, LogPartAnswer, MetricPartAnswer } from '../querier/parts.ts';
import { QueryStats } from '../querier/stats.ts';
import { bytesOf, copyOf, ForeignMessageError, messageType } from './messages.ts';

/*
 * Answers to parts as bytes. Texts of labels are written once, columns as they lie in memory.
 */

/** Label sets that share a table of texts. */
class LabelWriter {
  readonly #numbers = new Map<string, number>();
  readonly sizes: number[] = [];
  readonly pairs: number[] = [];

  add(labels: Labels): void {
    this.sizes.push(labels.length);
    for (const [name, value] of labels) this.pairs.push(this.#number(name), this.#number(value));
  }

  get message(): object {
    return { texts: [...this.#numbers.keys()], sizes: this.sizes, pairs: this.pairs };
  }

  #number(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) this.#numbers.set(text, (number = this.#numbers.size));
    return number;
  }
}

interface PlainLabelSets {
  readonly texts: readonly string[];
  readonly sizes: readonly number[];
  readonly pairs: readonly number[];
}

function readLabels({ texts, sizes, pairs }: PlainLabelSets): Labels[] {
  let at = 0;
  const text = (): string => known(texts[known(pairs[at++])]);
  return sizes.map((size) => Array.from({ length: size }, () => [text(), text()] as const));
}

function figures({ stats, warnings, fingerprint }: Pick<LogPartAnswer, 'stats' | 'warnings' | 'fingerprint'>): object {
  return { values: stats.counts(), warnings, fingerprint: fingerprint ?? '' };
}

interface PlainFigures {
  readonly values: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  readonly fingerprint: string;
}

function readFigures(plain: PlainFigures | null): Pick<LogPartAnswer, 'stats' | 'warnings' | 'fingerprint'> {
  const { values, warnings, fingerprint } = known(plain ?? undefined);
  const stats = new QueryStats();
  stats.add(values);
  return { stats, warnings, fingerprint: fingerprint === '' ? null : fingerprint };
}

/** As a message `LogAnswer`, for `messageType`. */
export function logMessage(answer: LogPartAnswer): object {
  const labels = new LabelWriter();
  const errors: string[] = [];
  const numbers = new Map<GroupLabels, number>();
  const { entries } = answer;
  const timestamps = new BigInt64Array(entries.length);
  const groups = new Uint32Array(entries.length);
  const lengths = new Uint32Array(entries.length);
  const lines: Buffer[] = [];
  entries.forEach(({ timestampNs, group, line }, i) => {
    let number = numbers.get(group);
    if (number === undefined) {
      numbers.set(group, (number = numbers.size));
      for (const set of [group.merged, group.stream, group.structuredMetadata, group.parsed]) labels.add(set);
      errors.push(group.error);
    }
    const bytes = Buffer.from(line, 'utf8');
    timestamps[i] = timestampNs;
    groups[i] = number;
    lengths[i] = bytes.length;
    lines.push(bytes);
  });
  return {
    figures: figures(answer),
    labels: labels.message,
    errors,
    timestampsNs: bytesOf(timestamps),
    groups: bytesOf(groups),
    lineLengths: bytesOf(lengths),
    lines: Buffer.concat(lines),
  };
}

interface PlainLogAnswer {
  readonly figures: PlainFigures | null;
  readonly labels: PlainLabelSets | null;
  readonly errors: readonly string[];
  readonly timestampsNs: Uint8Array;
  readonly groups: Uint8Array;
  readonly lineLengths: Uint8Array;
  readonly lines: Uint8Array;
}

/** Throws ForeignMessageError. */
export function readLogMessage(plain: PlainLogAnswer): LogPartAnswer {
  const sets = plain.labels === null ? [] : readLabels(plain.labels);
  const groups = plain.errors.map(
    (error, i): GroupLabels => ({
      merged: known(sets[4 * i]),
      stream: known(sets[4 * i + 1]),
      structuredMetadata: known(sets[4 * i + 2]),
      parsed: known(sets[4 * i + 3]),
      error,
    }),
  );
  const timestamps = new BigInt64Array(copyOf(plain.timestampsNs));
  const numbers = new Uint32Array(copyOf(plain.groups));
  const lengths = new Uint32Array(copyOf(plain.lineLengths));
  const lines = Buffer.from(plain.lines.buffer, plain.lines.byteOffset, plain.lines.byteLength);
  let at = 0;
  const entries = Array.from(timestamps, (timestampNs, i): LogEntry => {
    const end = at + known(lengths[i]);
    const line = lines.toString('utf8', at, end);
    at = end;
    return { timestampNs, group: known(groups[known(numbers[i])]), line };
  });
  if (at !== lines.length) throw new ForeignMessageError('lines and their lengths do not fit');
  return { entries, ...readFigures(plain.figures) };
}

/** As a message `MetricAnswer`, for `messageType`. */
export function metricMessage(answer: MetricPartAnswer): object {
  const { timesMs, series } = answer.matrix;
  const labels = new LabelWriter();
  const values = new Float64Array(series.length * timesMs.length);
  const present = new Uint8Array(series.length * timesMs.length);
  series.forEach((one, i) => {
    labels.add(one.labels);
    values.set(one.values, i * timesMs.length);
    present.set(one.present, i * timesMs.length);
  });
  return {
    figures: figures(answer),
    labels: labels.message,
    timesMs: bytesOf(timesMs),
    values: bytesOf(values),
    present,
  };
}

interface PlainMetricAnswer {
  readonly figures: PlainFigures | null;
  readonly labels: PlainLabelSets | null;
  readonly timesMs: Uint8Array;
  readonly values: Uint8Array;
  readonly present: Uint8Array;
}

/** Throws ForeignMessageError. */
export function readMetricMessage(plain: PlainMetricAnswer): MetricPartAnswer {
  const sets = plain.labels === null ? [] : readLabels(plain.labels);
  const timesMs = new Float64Array(copyOf(plain.timesMs));
  const values = new Float64Array(copyOf(plain.values));
  const present = new Uint8Array(copyOf(plain.present));
  const steps = timesMs.length;
  if (values.length !== sets.length * steps || present.length !== values.length) {
    throw new ForeignMessageError('series and their values do not fit');
  }
  const series = sets.map((labels, i) => ({
    labels,
    values: values.subarray(i * steps, (i + 1) * steps),
    present: present.subarray(i * steps, (i + 1) * steps),
  }));
  return { matrix: { timesMs, series }, ...readFigures(plain.figures) };
}

export function encodeBytes({ bytes, contextBytes }: BytesAnswer): Buffer {
  return messageType('BytesAnswer').encode({ bytes, contextBytes });
}

export function decodeBytes(bytes: Uint8Array): BytesAnswer {
  return messageType('BytesAnswer').decode(bytes);
}

export function encodeFingerprints(fingerprints: readonly (string | null)[]): Buffer {
  return messageType('FingerprintsAnswer').encode({ fingerprints: fingerprints.map((one) => one ?? '') });
}

export function decodeFingerprints(bytes: Uint8Array): (string | null)[] {
  const plain: { fingerprints: string[] } = messageType('FingerprintsAnswer').decode(bytes);
  return plain.fingerprints.map((one) => (one === '' ? null : one));
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new ForeignMessageError('an answer names what it does not have');
  return value;
}
