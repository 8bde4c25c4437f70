import { IntList } from '../int-list.ts';
import { type Label, type Labels, labelsKey, sortLabels } from '../labels.ts';
import { ValueTable } from '../value-table.ts';
import { ERROR_DETAILS_LABEL, ERROR_ID, ERROR_LABEL, type Row } from './row.ts';
import { detach } from './text.ts';
import type { GroupingMode, GroupLabels, GroupSource } from './types.ts';

/**
 * Numbers the label sets of rows. What tells two rows apart (the stream, metadata values, changes by stages) is
 * followed through a trie of maps; only where that ends for the first time is a label set built and looked up. So rows
 * that differ only in things that do not count cost a few map lookups each.
 */
export class Groups implements GroupSource {
  length = 0;
  /** By group, unless there are groups by value. */
  readonly #list: GroupLabels[] = [];
  /** The same of groups by value, of which there may be very many: only those that somebody has asked for. */
  readonly #made = new Map<number, GroupLabels>();
  readonly #mode: GroupingMode;
  readonly #keepErrors: boolean;
  readonly #byKey = new Map<string, number>();
  readonly #streams = new Map<string, Node>();
  readonly #byIds: readonly number[];
  readonly #left: ReadonlySet<string>;
  #stream: Node = new Node();
  /** Of the open stream, ascending; null before they are asked for. */
  #streamLabels: Labels | null = null;
  #openLabels: Labels = [];
  #byRoot = new Node();
  /** Of groupings by one label. */
  readonly byValue: ValueGroups | undefined;
  /** The group of rows without that label, -1 before the first. */
  #without = -1;
  #nodes = 0;

  /** `keepErrors`: rows with an error are grouped as others are, and their group counts as one without error. */
  constructor(mode: GroupingMode, row: Row, keepErrors: boolean) {
    this.#mode = mode;
    this.#keepErrors = keepErrors;
    this.#byIds = mode.kind === 'by' ? [...new Set(mode.labels)].map((name) => row.id(name)) : [];
    const [id] = this.#byIds;
    if (id !== undefined && id !== ERROR_ID && this.#byIds.length === 1) this.byValue = new ValueGroups(row.names[id]!);
    this.#left = new Set(mode.kind === 'without' ? mode.labels : []);
  }

  at(group: number): GroupLabels | undefined {
    if (this.byValue === undefined) return this.#list[group];
    const known = this.#made.get(group);
    if (known !== undefined || group >= this.length) return known;
    const { name, values } = this.byValue;
    const made: GroupLabels = {
      ...NO_CATEGORIES,
      merged: [[name, values.at(this.byValue.valueOf(group))]],
      error: '',
    };
    this.#made.set(group, made);
    return made;
  }

  all(): readonly GroupLabels[] {
    return this.byValue === undefined ? this.#list : Array.from({ length: this.length }, (_, group) => this.at(group)!);
  }

  release(): void {
    this.byValue?.values.release();
  }

  openStream(stream: Labels): void {
    if (this.#nodes > MAX_NODES) this.#forget();
    if (stream !== this.#openLabels) {
      this.#openLabels = stream;
      this.#streamLabels = null;
    }
    const key = labelsKey(stream);
    let node = this.#streams.get(key);
    if (!node) {
      node = new Node();
      this.#streams.set(key, node);
    }
    this.#stream = node;
  }

  of(row: Row): number {
    return this.#mode.kind === 'by' && (row.error === '' || this.#keepErrors) ? this.#ofGrouped(row) : this.#ofAll(row);
  }

  #ofGrouped(row: Row): number {
    if (this.byValue !== undefined) return this.#ofValue(row, this.byValue, this.#byIds[0]!);
    let node = this.#byRoot;
    for (const id of this.#byIds) node = this.#step(node, groupValue(row, id));
    if (node.group < 0) {
      const labels: Label[] = [];
      for (const id of this.#byIds) {
        const value = groupValue(row, id);
        if (value !== undefined) labels.push([row.names[id]!, detach(value)]);
      }
      const error = this.#byIds.includes(ERROR_ID) && row.error === '' ? errorOfLine(row) : '';
      node.group = this.#groupOf({ ...NO_CATEGORIES, merged: sortLabels(labels), error });
    }
    return node.group;
  }

  #ofValue(row: Row, byValue: ValueGroups, id: number): number {
    let number: number;
    if (row.isInLine(id)) {
      number = byValue.values.numberOfBytes(row.bytes, row.startOf(id), row.endOf(id));
    } else {
      const value = groupValue(row, id);
      if (value === undefined) {
        if (this.#without < 0) this.#without = this.#push({ ...NO_CATEGORIES, merged: [], error: '' });
        return this.#without;
      }
      number = byValue.values.numberOfOften(value);
    }
    const group = byValue.groupOf(number, this.length);
    if (group === this.length) this.length++;
    return group;
  }

  #ofAll(row: Row): number {
    let node = this.#stream;
    const metadata = row.block.metadata;
    for (let i = 0; i < metadata.length; i++) {
      const column = metadata[i]!;
      const index = column.indexes[row.index]!;
      if (index === 0) continue;
      node = this.#step(this.#step(node, row.columnIds[i]), column.valueAt(index));
    }
    for (let i = 0; i < row.touchedCount; i++) {
      const id = row.touched[i]!;
      node = this.#step(this.#step(node, id), row.change(id));
    }
    if (row.error !== '' || row.errorDetails !== '') {
      node = this.#step(this.#step(this.#step(node, 'error'), row.error), row.errorDetails);
    }
    if (node.group < 0) node.group = this.#groupOf(this.#labelsOf(row));
    return node.group;
  }

  #labelsOf(row: Row): GroupLabels {
    const stream: Label[] = [];
    const structuredMetadata: Label[] = [];
    const parsed: Label[] = [];
    const ignored = row.error === '' ? this.#left : NO_NAMES;
    row.forEachLabel((id, value, category) => {
      const name = row.names[id]!;
      if (ignored.has(name) || (row.error !== '' && name === ERROR_LABEL)) return;
      if (row.errorDetails !== '' && name === ERROR_DETAILS_LABEL) return;
      const label: Label = [name, detach(value)];
      (category === 'stream' ? stream : category === 'metadata' ? structuredMetadata : parsed).push(label);
    });
    if (row.error !== '') parsed.push([ERROR_LABEL, row.error]);
    if (row.errorDetails !== '') parsed.push([ERROR_DETAILS_LABEL, detach(row.errorDetails)]);
    const own = this.#allOfStream(stream);
    const merged = sortLabels([...own, ...structuredMetadata, ...parsed]);
    const error = row.error === '' ? errorOfLine(row) : this.#keepErrors ? '' : row.error;
    if (this.#mode.kind !== 'categories') return { ...NO_CATEGORIES, merged, error };
    return {
      merged,
      stream: own,
      structuredMetadata: sortLabels(structuredMetadata),
      parsed: sortLabels(parsed),
      error,
    };
  }

  /**
   * `labels`, of the open stream, ascending. Where these are all that it has, groups share them: what goes from thread to
   * thread by structured clone is copied once then.
   */
  #allOfStream(labels: Label[]): Labels {
    this.#streamLabels ??= sortLabels(this.#openLabels.filter(([, value]) => value !== ''));
    return labels.length === this.#streamLabels.length ? this.#streamLabels : sortLabels(labels);
  }

  #groupOf(labels: GroupLabels): number {
    const key =
      this.#mode.kind === 'categories'
        ? `${labelsKey(labels.stream)}|${labelsKey(labels.structuredMetadata)}|${labelsKey(labels.parsed)}`
        : labelsKey(labels.merged);
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const group = this.#push(labels);
    this.#byKey.set(key, group);
    return group;
  }

  #push(labels: GroupLabels): number {
    if (this.byValue === undefined) this.#list.push(labels);
    else this.#made.set(this.length, labels);
    return this.length++;
  }

  #step(node: Node, key: NodeKey): Node {
    const known = node.next?.get(key);
    if (known) return known;
    this.#nodes++;
    node.next ??= new Map();
    const made = new Node();
    node.next.set(typeof key === 'string' ? detach(key) : key, made);
    return made;
  }

  /** The trie is only a short cut; values that never come again must not fill the memory. */
  #forget(): void {
    this.#nodes = 0;
    this.#streams.clear();
    this.#byRoot = new Node();
  }
}

/** An error of the pipeline hides a label of that name that the line brought along. */
function groupValue(row: Row, id: number): string | undefined {
  return id === ERROR_ID && row.error !== '' ? row.error : row.get(id);
}

/** A line that brings its own `__error__` fails a metric query like an error of the pipeline. */
function errorOfLine(row: Row): string {
  return row.get(ERROR_ID) ?? '';
}

/** Groups that differ in the value of one label, among others that differ in more. */
class ValueGroups {
  readonly name: string;
  readonly values = new ValueTable();
  /** Of the first values, and mostly of all, the group has the number of the value; the lists are for those behind them. */
  #alike = 0;
  readonly #groups = new IntList();
  /** Value by group; -1 or nothing for the others. */
  readonly #values = new IntList();

  constructor(name: string) {
    this.name = name;
  }

  /** The group of a value by its number; `next`, if it is a new one. */
  groupOf(number: number, next: number): number {
    if (number < this.#alike) return number;
    if (number === next && this.#groups.length === 0) {
      this.#alike++;
      return next;
    }
    const place = number - this.#alike;
    if (place < this.#groups.length) return this.#groups.at(place);
    this.#groups.push(next);
    while (this.#values.length < next - this.#alike) this.#values.push(-1);
    this.#values.push(number);
    return next;
  }

  groupAt(number: number): number {
    return number < this.#alike ? number : this.#groups.at(number - this.#alike);
  }

  valueOf(group: number): number {
    if (group < this.#alike) return group;
    const place = group - this.#alike;
    return place < this.#values.length ? this.#values.at(place) : -1;
  }
}

type NodeKey = string | number | null | undefined;

class Node {
  group = -1;
  next: Map<NodeKey, Node> | null = null;
}

/** About 100 bytes each. */
const MAX_NODES = 200_000;
const NO_NAMES: ReadonlySet<string> = new Set();
const NO_CATEGORIES = { stream: [], structuredMetadata: [], parsed: [] } as const;
