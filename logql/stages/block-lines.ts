import type { BlockColumns } from '../source.ts';

/** The lines of the block at hand, as bytes and, made on first use, as one byte string. */
export class BlockLines {
  #block: BlockColumns | null = null;
  #text: string | null = null;
  #slices = 0;

  open(block: BlockColumns): void {
    this.#block = block;
    this.#text = null;
    this.#slices = 0;
  }

  get block(): BlockColumns {
    return this.#block!;
  }

  get bytes(): Buffer {
    return this.block.bytes!;
  }

  /** All lines run together, a character a byte. */
  get text(): string {
    this.#text ??= this.bytes.toString('latin1');
    return this.#text;
  }

  /** A piece of `text`. A few are made alone; where there are many, making `text` first is cheaper. */
  slice(start: number, end: number): string {
    if (this.#text !== null) return this.#text.slice(start, end);
    if (++this.#slices > this.block.rowCount * MANY_SLICES) return this.text.slice(start, end);
    return this.bytes.toString('latin1', start, end);
  }

  /** One line: a piece of `text` when that is there, else made alone. */
  textOf(row: number): string {
    const { lineStarts } = this.block;
    const start = lineStarts[row]!;
    const end = lineStarts[row + 1]!;
    return this.#text === null ? this.bytes.toString('latin1', start, end) : this.#text.slice(start, end);
  }

  /** The row that holds byte `offset`; searched from `from` on, which it is not before. */
  rowAt(offset: number, from: number): number {
    const starts = this.block.lineStarts;
    // Gallop: hits come in order and often close to each other.
    let step = 1;
    let low = from;
    let high = from + 1;
    while (high < this.block.rowCount && starts[high]! <= offset) {
      low = high;
      high += step;
      step *= 2;
    }
    high = Math.min(high, this.block.rowCount);
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Times the number of rows. */
const MANY_SLICES = 1 / 4;
