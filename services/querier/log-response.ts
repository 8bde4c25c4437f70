import type { Labels } from '../../logql/labels.ts';
import type { GroupLabels } from '../../logql/stages/types.ts';
import { printLabels } from '../../logql/syntax/index.ts';
import { jsonLabels, jsonString } from './json.ts';

export const CATEGORIZE_LABELS = 'categorize-labels';

/** One line of an answer. */
export interface LogEntry {
  readonly timestampNs: bigint;
  readonly group: GroupLabels;
  readonly line: string;
}

/** Encoding flags of the request header, in the order given, without doubles. */
export function parseEncodingFlags(header: string): readonly string[] {
  return [...new Set(header.split(',').map((flag) => flag.trim()))].filter((flag) => flag !== '');
}

/** A result object of a log query: one label set, entries in the order that they came in. */
export interface LogStream {
  readonly labels: Labels;
  readonly entries: readonly LogEntry[];
}

/**
 * One stream a label set, ordered by its printed form. With categories a label set is the stream's own, and each entry
 * carries the rest.
 */
export function groupEntries(entries: Iterable<LogEntry>, categorize: boolean): LogStream[] {
  const streams = new Map<string, { labels: Labels; entries: LogEntry[] }>();
  const streamOfGroup = new Map<GroupLabels, { labels: Labels; entries: LogEntry[] }>();
  for (const entry of entries) {
    let stream = streamOfGroup.get(entry.group);
    if (!stream) {
      const labels = categorize ? entry.group.stream : entry.group.merged;
      const key = printLabels(labels);
      stream = streams.get(key);
      if (!stream) {
        stream = { labels, entries: [] };
        streams.set(key, stream);
      }
      streamOfGroup.set(entry.group, stream);
    }
    stream.entries.push(entry);
  }
  return [...streams].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, stream]) => stream);
}

/** `["ns","line"]`, or with categories `["ns","line",{…}]`. */
export function renderValue(entry: LogEntry, categorize: boolean): string {
  const base = `["${entry.timestampNs}",${jsonString(entry.line, true)}`;
  return categorize ? `${base},${renderCategories(entry.group)}]` : `${base}]`;
}

function renderCategories(group: GroupLabels): string {
  const parts: string[] = [];
  if (group.structuredMetadata.length > 0) parts.push(`"structuredMetadata":${jsonLabels(group.structuredMetadata)}`);
  if (group.parsed.length > 0) parts.push(`"parsed":${jsonLabels(group.parsed)}`);
  return `{${parts.join(',')}}`;
}

/** The `encodingFlags` member with its comma, or nothing. Clients read it before `result`. */
export function renderFlags(flags: readonly string[]): string {
  return flags.length === 0 ? '' : `"encodingFlags":${JSON.stringify(flags)},`;
}
