/** Different texts that are told apart; a push full of mistakes must not make an endless answer. */
const MAX_TEXTS = 1000;

/** Collects why parts of a push were refused, as Loki words it: the text itself, or `N errors like: …; M errors like: …`. */
export class ErrorGroups {
  readonly #counts = new Map<string, number>();
  #total = 0;

  add(text: string): void {
    this.#total++;
    const count = this.#counts.get(text);
    if (count !== undefined) this.#counts.set(text, count + 1);
    else if (this.#counts.size < MAX_TEXTS) this.#counts.set(text, 1);
  }

  get isEmpty(): boolean {
    return this.#total === 0;
  }

  get message(): string {
    const texts = [...this.#counts];
    if (this.#total === 1) return texts[0]![0];
    return texts.map(([text, count]) => `${count} errors like: ${text}`).join('; ');
  }
}
