import type { Label, Labels } from '../../logql/labels.ts';
import { compileRegex, type Regex, timedTest } from '../../logql/regex/index.ts';
import type { Matcher } from '../../logql/syntax/ast.ts';
import type { Stream } from './stream.ts';

/** One stream, which is what most values of a label with many values have, costs no set. */
type Postings = Stream | Set<Stream>;

/** Label → value → streams of one tenant. */
export class LabelIndex {
  readonly #names = new Map<string, Map<string, Postings>>();
  readonly #all = new Set<Stream>();

  /** The same labels, of pairs that streams of this index have already, where they have them. */
  shared(labels: Labels): Labels {
    return labels.map((label) => {
      const [name, value] = label;
      const values = this.#names.get(name);
      if (values === undefined) return label;
      const postings = values.get(value);
      if (postings !== undefined) return labelOf(postings, (own) => own[0] === name && own[1] === value);
      const [other] = values.values();
      return [labelOf(other!, (own) => own[0] === name)[0], value];
    });
  }

  add(stream: Stream): void {
    this.#all.add(stream);
    for (const [name, value] of stream.labels) {
      let values = this.#names.get(name);
      if (values === undefined) this.#names.set(name, (values = new Map()));
      const postings = values.get(value);
      if (postings === undefined) values.set(value, stream);
      else if (postings instanceof Set) postings.add(stream);
      else values.set(value, new Set([postings, stream]));
    }
  }

  remove(stream: Stream): void {
    this.#all.delete(stream);
    for (const [name, value] of stream.labels) {
      const values = this.#names.get(name);
      const postings = values?.get(value);
      if (values === undefined || postings === undefined) continue;
      if (postings instanceof Set) {
        postings.delete(stream);
        if (postings.size > 0) continue;
      }
      values.delete(value);
      if (values.size === 0) this.#names.delete(name);
    }
  }

  /**
   * Streams that satisfy all matchers, starting from the matcher that leaves the fewest. Throws RegexError, also when a
   * pattern takes too long for all the values.
   */
  *select(matchers: readonly Matcher[]): Generator<Stream> {
    const tests = matchers.map((matcher) => compileMatcher(matcher, timedTest));
    let best: readonly Postings[] | null = null;
    let bestSize = Number.POSITIVE_INFINITY;
    for (const test of tests) {
      if (test.matches('')) continue; // would also want the streams that lack the label
      const candidates = this.#candidates(test);
      const size = candidates.reduce((sum, postings) => sum + (postings instanceof Set ? postings.size : 1), 0);
      if (size < bestSize) {
        best = candidates;
        bestSize = size;
      }
    }
    for (const postings of best ?? [this.#all]) {
      for (const stream of postings instanceof Set ? postings : [postings]) {
        if (tests.every(({ name, matches }) => matches(labelValue(stream.labels, name)))) yield stream;
      }
    }
  }

  #candidates(test: LabelTest): readonly Postings[] {
    const values = this.#names.get(test.name);
    if (values === undefined) return [];
    if (test.value !== null) {
      const postings = values.get(test.value);
      return postings === undefined ? [] : [postings];
    }
    const found: Postings[] = [];
    for (const [value, postings] of values) if (test.matches(value)) found.push(postings);
    return found;
  }
}

/** The label as a stream has it that is known to have one. */
function labelOf(postings: Postings, isWanted: (label: Label) => boolean): Label {
  const [stream] = postings instanceof Set ? postings : [postings];
  return stream!.labels.find(isWanted)!;
}

interface LabelTest {
  readonly name: string;
  /** The only value that matches, when there is one. */
  readonly value: string | null;
  matches(value: string): boolean;
}

/** Whether labels satisfy all matchers; a missing label has the value ''. For a long life: time is not counted. */
export function compileSelector(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map((matcher) => compileMatcher(matcher, (regex) => (value) => regex.test(value)));
  return (labels) => tests.every(({ name, matches }) => matches(labelValue(labels, name)));
}

function compileMatcher({ name, op, value }: Matcher, testOf: (regex: Regex) => (value: string) => boolean): LabelTest {
  switch (op) {
    case '=':
      return { name, value, matches: (actual) => actual === value };
    case '!=':
      return { name, value: null, matches: (actual) => actual !== value };
    case '=~': {
      const test = testOf(compileRegex(value, { anchored: true, dotAll: true }));
      return { name, value: null, matches: test };
    }
    case '!~': {
      const test = testOf(compileRegex(value, { anchored: true, dotAll: true }));
      return { name, value: null, matches: (actual) => !test(actual) };
    }
    default:
      return op satisfies never;
  }
}

function labelValue(labels: Labels, name: string): string {
  for (const [key, value] of labels) if (key === name) return value;
  return '';
}
