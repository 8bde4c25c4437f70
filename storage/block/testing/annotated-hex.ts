/** Bytes as lines of `offset  hex  meaning`, for dumps that people read. */
export class AnnotatedHex {
  readonly #bytes: Buffer;
  readonly #lines: string[] = [];
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get at(): number {
    return this.#at;
  }

  heading(text: string): void {
    this.#lines.push('', `# ${text}`);
  }

  /** Takes the next `length` bytes, eight a line; `meaning` stands at the first. */
  field(length: number, meaning: string | ((bytes: Buffer) => string)): void {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    const text = typeof meaning === 'string' ? meaning : meaning(bytes);
    for (let from = 0; from < length; from += 8) {
      const hex = bytes
        .subarray(from, from + 8)
        .toString('hex')
        .replace(/../g, '$& ')
        .trimEnd();
      const offset = (this.#at + from).toString(16).padStart(4, '0');
      this.#lines.push(`${offset}  ${from === 0 ? `${hex.padEnd(24)} ${text}`.trimEnd() : hex}`);
    }
    this.#at += length;
  }

  u8(name: string): void {
    this.field(1, (b) => `${name} = ${b[0]}`);
  }

  u32(name: string): void {
    this.field(4, (b) => `${name} = ${b.readUInt32LE()}`);
  }

  u64(name: string): void {
    this.field(8, (b) => `${name} = ${b.readBigInt64LE()}`);
  }

  f64(name: string): void {
    this.field(8, (b) => `${name} = ${b.readDoubleLE()}`);
  }

  /** `rows` numbers of `width` bytes as planes. */
  planes(rows: number, width: number, name: string): void {
    for (let plane = 0; plane < width; plane++) this.field(rows, `${name}, byte ${plane} of ${rows} numbers`);
  }

  /** A part that is a dump of its own, at offsets of its own. */
  insert(dump: string): void {
    this.#lines.push(...dump.split('\n').map((line) => (line === '' ? '' : `      ${line}`)));
  }

  /** Passes over bytes that `insert` has shown in another form. */
  skip(length: number, meaning: string): void {
    this.#lines.push(`${this.#at.toString(16).padStart(4, '0')}  (${length} bytes)`.padEnd(31) + meaning);
    this.#at += length;
  }

  /** Throws when bytes are left over. */
  finish(): string {
    if (this.#at !== this.#bytes.length) throw new Error(`${this.#bytes.length - this.#at} bytes were not explained`);
    return this.#lines.join('\n').trim();
  }
}
