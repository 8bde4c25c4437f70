import type { Labels } from '../../logql/labels.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { StreamBatch } from '../rpc/push-batch.ts';
import type { HeadMemory } from './head-memory.ts';
import { compileSelector, LabelIndex } from './label-index.ts';
import { parseCanonicalLabels } from './labels-text.ts';
import { Stream } from './stream.ts';

interface Tail {
  readonly matches: (labels: Labels) => boolean;
  readonly onRows: (labels: Labels, rows: StreamBatch) => void;
}

/** What an ingester holds for one tenant. */
export class Tenant {
  readonly id: string;
  readonly streams = new Map<string, Stream>();
  readonly #index = new LabelIndex();
  readonly #tails = new Set<Tail>();

  readonly #memory: HeadMemory;

  constructor(id: string, memory: HeadMemory) {
    this.id = id;
    this.#memory = memory;
  }

  get isUnused(): boolean {
    return this.streams.size === 0 && this.#tails.size === 0;
  }

  get hasTails(): boolean {
    return this.#tails.size > 0;
  }

  create(text: string): Stream {
    const stream = new Stream(this.#index.shared(parseCanonicalLabels(text)), text, this.#memory);
    this.streams.set(text, stream);
    this.#index.add(stream);
    return stream;
  }

  /** False when the stream was not known. */
  forget(stream: Stream): boolean {
    if (this.streams.get(stream.text) !== stream) return false;
    this.streams.delete(stream.text);
    this.#index.remove(stream);
    return true;
  }

  select(matchers: readonly Matcher[]): Iterable<Stream> {
    return this.#index.select(matchers);
  }

  tail(matchers: readonly Matcher[], onRows: Tail['onRows']): () => void {
    const tail: Tail = { matches: compileSelector(matchers), onRows };
    this.#tails.add(tail);
    return () => this.#tails.delete(tail);
  }

  /** Hands rows to those who follow the stream; one that throws is dropped and its error returned. */
  publish(labels: Labels, rows: StreamBatch): unknown[] {
    const errors: unknown[] = [];
    for (const tail of this.#tails) {
      try {
        if (tail.matches(labels)) tail.onRows(labels, rows);
      } catch (error: unknown) {
        this.#tails.delete(tail);
        errors.push(error);
      }
    }
    return errors;
  }
}
