import type { Labels } from '../labels.ts';
import type { BlockColumns } from '../source.ts';
import type { BlockLines } from './block-lines.ts';
import { readPlainFloat } from './read-float.ts';
import { RecentTexts } from './recent-texts.ts';
import { decodeUtf8, encodeUtf8 } from './text.ts';

/** Ids of the two names that every row knows; they stand for `Row.error` and `Row.errorDetails`. */
export const ERROR_ID = 0;
export const ERROR_DETAILS_ID = 1;
export const ERROR_LABEL = '__error__';
export const ERROR_DETAILS_LABEL = '__error_details__';

/** What a parser appends to a name that the stream or the structured metadata have already. */
export const DUPLICATE_SUFFIX = '_extracted';

/** `Row.set` and `Row.drop` record changes; this stands for "no such label any more". */
const DROPPED = null;
/** The label's value is a piece of the line that nobody has asked for as a string. */
const IN_LINE = undefined;

/**
 * The one row at hand: its line, its labels in three categories, its error. One object serves all rows of a query;
 * names are small integers, and what a row changes is kept in arrays by name that a generation number makes void for
 * the next row.
 *
 * The line is the byte string `source` between `start` and `end`, and the same places of `bytes`. What parsers find may
 * stay there: most values are only compared, counted or read as numbers.
 */
export class Row {
  start = 0;
  end = 0;
  error = '';
  errorDetails = '';
  /** Row number within the block. */
  index = 0;
  /** No byte of the line is above 0x7f. */
  isAscii = false;

  /** Ids that this row has set or dropped, in order of the first change. */
  readonly touched: number[] = [];
  touchedCount = 0;

  readonly names: string[] = [];
  readonly #ids = new Map<string, number>();
  readonly #extractedIds: number[] = [];

  // By id.
  readonly #streamValues: (string | undefined)[] = [];
  readonly #columns: number[] = [];
  readonly #changedIn: number[] = [];
  readonly #values: (string | null | undefined)[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #parsedIn: number[] = [];
  readonly #expectations: (RowStage | undefined)[] = [];

  #source: string | null = '';
  #bytes: Uint8Array | null = null;
  #lines: BlockLines | null = null;
  #view: DataView | null = null;
  #viewed: Uint8Array | null = null;
  readonly #texts = new RecentTexts();
  #generation = 1;
  #stream: Labels = [];
  #streamIds: number[] = [];
  #block: BlockColumns | null = null;
  #columnIds: number[] = [];

  constructor() {
    this.id(ERROR_LABEL);
    this.id(ERROR_DETAILS_LABEL);
  }

  id(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.names.push(name) - 1;
    this.#ids.set(name, id);
    this.#extractedIds.push(-1);
    this.#streamValues.push(undefined);
    this.#columns.push(-1);
    this.#changedIn.push(0);
    this.#values.push(DROPPED);
    this.#starts.push(0);
    this.#ends.push(0);
    this.#parsedIn.push(0);
    this.#expectations.push(undefined);
    return id;
  }

  open(block: BlockColumns, stream: Labels): void {
    for (const id of this.#streamIds) this.#streamValues[id] = undefined;
    for (const id of this.#columnIds) this.#columns[id] = -1;
    this.#block = block;
    this.#stream = stream;
    this.#streamIds = [];
    for (const [name, value] of stream) {
      if (value === '') continue;
      const id = this.id(name);
      this.#streamIds.push(id);
      this.#streamValues[id] = value;
    }
    this.#columnIds = block.metadata.map((column, index) => {
      const plain = this.id(column.name);
      const id = this.#streamValues[plain] === undefined ? plain : this.extractedId(plain);
      this.#columns[id] = index;
      return id;
    });
  }

  /** Makes `index` the row at hand, with the line `[start, end)` of `source`. */
  begin(index: number, source: string, start: number, end: number): void {
    this.#source = source;
    this.#bytes = null;
    this.#begin(index, start, end);
  }

  /** The same with the line where the block has it. */
  beginInBlock(index: number, lines: BlockLines): void {
    const { lineStarts, bytes } = lines.block;
    this.#source = null;
    this.#bytes = bytes;
    this.#lines = lines;
    this.#begin(index, lineStarts[index]!, lineStarts[index + 1]!);
  }

  #begin(index: number, start: number, end: number): void {
    this.index = index;
    this.start = start;
    this.end = end;
    this.isAscii = this.#block!.ascii;
    this.error = '';
    this.errorDetails = '';
    this.touchedCount = 0;
    this.#generation++;
  }

  get source(): string {
    this.#source ??= this.#lines!.text;
    return this.#source;
  }

  /** The bytes of `source`. Scanners that look at each are twice as fast with them as with the string. */
  get bytes(): Uint8Array {
    this.#bytes ??= Buffer.from(this.source, 'latin1');
    return this.#bytes;
  }

  /** The same, for what reads several at once. */
  get view(): DataView {
    const { bytes } = this;
    if (this.#view === null || this.#viewed !== bytes) {
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      this.#viewed = bytes;
    }
    return this.#view;
  }

  /** A piece of `source`. */
  slice(start: number, end: number): string {
    return this.#source === null ? this.#lines!.slice(start, end) : this.#source.slice(start, end);
  }

  /** The line as a byte string. */
  lineBytes(): string {
    return this.#source === null ? this.#lines!.textOf(this.index) : this.#source.slice(this.start, this.end);
  }

  get stream(): Labels {
    return this.#stream;
  }

  get block(): BlockColumns {
    return this.#block!;
  }

  /** Ids under which the block's metadata columns are seen, by column. */
  get columnIds(): readonly number[] {
    return this.#columnIds;
  }

  line(): string {
    const bytes = this.lineBytes();
    return this.isAscii ? bytes : decodeUtf8(bytes);
  }

  setLine(text: string): void {
    this.setLineBytes(encodeUtf8(text));
  }

  setLineBytes(bytes: string): void {
    for (let i = 0; i < this.touchedCount; i++) this.change(this.touched[i]!);
    this.#source = bytes;
    this.#bytes = null;
    this.isAscii = false;
    this.start = 0;
    this.end = bytes.length;
  }

  /** The label's value in any category; undefined when the row lacks it. */
  get(id: number): string | undefined {
    if (this.#changedIn[id] === this.#generation) return this.change(id) ?? undefined;
    const column = this.#columns[id]!;
    if (column >= 0) {
      const metadata = this.#block!.metadata[column]!;
      const index = metadata.indexes[this.index]!;
      if (index !== 0) return metadata.valueAt(index);
    }
    return this.#streamValues[id];
  }

  /**
   * The label as filters and templates see it: `__error__` is the error of the pipeline, never a label that a line
   * brought along; `__error_details__` is not visible.
   */
  getVisible(id: number): string | undefined {
    if (id === ERROR_ID) return this.error === '' ? undefined : this.error;
    return this.get(id);
  }

  /** False: no row of the open block has the label with this value, which is not empty, as it is stored. */
  mayHave(id: number, value: string): boolean {
    if (id === ERROR_ID || id === ERROR_DETAILS_ID) return true;
    const column = this.#columns[id]!;
    const metadata = column < 0 ? undefined : this.#block!.metadata[column]!;
    if (metadata !== undefined && (metadata.mayHave?.(value) ?? true)) return true;
    return this.#streamValues[id] === value;
  }

  hasChanged(id: number): boolean {
    return this.#changedIn[id] === this.#generation;
  }

  /** Sets a parsed label; it hides labels of that name in the other categories. */
  set(id: number, value: string): void {
    this.#change(id, value);
  }

  drop(id: number): void {
    if (this.get(id) !== undefined) this.#change(id, DROPPED);
  }

  /** The id under which a parser may set `id`: with the suffix when stream or metadata have the name. */
  parserId(id: number): number {
    if (this.#streamValues[id] !== undefined) return this.extractedId(id);
    const column = this.#columns[id]!;
    if (column < 0 || this.#block!.metadata[column]!.indexes[this.index] === 0) return id;
    return this.hasChanged(id) ? id : this.extractedId(id);
  }

  /** Whether a parser has set `id` in this row already; the first value wins. */
  isParsed(id: number): boolean {
    return this.#parsedIn[id] === this.#generation;
  }

  setParsed(id: number, value: string): void {
    this.#parsedIn[id] = this.#generation;
    this.#change(id, value);
  }

  /** As `setParsed` with the piece `[start, end)` of an ASCII line. */
  setParsedPiece(id: number, start: number, end: number): void {
    this.#parsedIn[id] = this.#generation;
    this.#starts[id] = start;
    this.#ends[id] = end;
    this.#change(id, IN_LINE);
  }

  /** Whether the label is a piece of the line, ASCII bytes from `startOf` to `endOf`. */
  isInLine(id: number): boolean {
    return this.#changedIn[id] === this.#generation && this.#values[id] === IN_LINE;
  }

  startOf(id: number): number {
    return this.#starts[id]!;
  }

  endOf(id: number): number {
    return this.#ends[id]!;
  }

  /** The number that a piece of the line plainly is; NaN where the label must be read as text. */
  plainNumber(id: number): number {
    return this.isInLine(id) ? readPlainFloat(this.bytes, this.#starts[id]!, this.#ends[id]!) : Number.NaN;
  }

  /**
   * Announces a filter over one label. Parsers ask it as soon as they have set the label and drop the row if it fails,
   * whatever the stages in between would make of the label: so does Loki. The first filter of a label counts.
   */
  expect(id: number, filter: RowStage): void {
    this.#expectations[id] ??= filter;
  }

  /** Whether the label that a parser has just set is what the query expects. */
  meetsExpectation(id: number): boolean {
    const filter = this.#expectations[id];
    return filter === undefined || filter.run(this);
  }

  extractedId(id: number): number {
    const known = this.#extractedIds[id]!;
    if (known >= 0) return known;
    const extracted = this.id(this.names[id]! + DUPLICATE_SUFFIX);
    this.#extractedIds[id] = extracted;
    return extracted;
  }

  /** The change of a touched id: its value, or null when the label was dropped. */
  change(id: number): string | null {
    const value = this.#values[id];
    return value === IN_LINE ? this.#read(id) : value;
  }

  #read(id: number): string {
    const start = this.#starts[id]!;
    const end = this.#ends[id]!;
    const { bytes } = this;
    let text = this.#texts.find(bytes, start, end);
    if (text === undefined) {
      text = this.slice(start, end);
      this.#texts.keep(bytes, start, end, text);
    }
    this.#values[id] = text;
    return text;
  }

  fail(error: string, details: string): void {
    this.error = error;
    this.errorDetails = details;
  }

  /** Calls `visit` for every label of the row, errors not included, in no particular order. */
  forEachLabel(visit: (id: number, value: string, category: LabelCategory) => void): void {
    for (const id of this.#streamIds) {
      if (!this.hasChanged(id) && !this.#hasMetadata(id)) visit(id, this.#streamValues[id]!, 'stream');
    }
    for (const id of this.#columnIds) {
      if (!this.hasChanged(id) && this.#hasMetadata(id)) visit(id, this.get(id)!, 'metadata');
    }
    for (let i = 0; i < this.touchedCount; i++) {
      const id = this.touched[i]!;
      const value = this.change(id);
      if (value !== DROPPED) visit(id, value, 'parsed');
    }
  }

  #hasMetadata(id: number): boolean {
    const column = this.#columns[id]!;
    return column >= 0 && this.#block!.metadata[column]!.indexes[this.index] !== 0;
  }

  #change(id: number, value: string | null | undefined): void {
    if (this.#changedIn[id] !== this.#generation) {
      this.#changedIn[id] = this.#generation;
      this.touched[this.touchedCount++] = id;
    }
    this.#values[id] = value;
  }
}

export type LabelCategory = 'stream' | 'metadata' | 'parsed';

/** One step of a pipeline on the row at hand. False: the row is dropped. */
export interface RowStage {
  run(row: Row): boolean;
  /** False: none of the rows of the open block gets through, should the stage be the first. */
  mayPass?(row: Row): boolean;
}
