import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { acceptedKeys } from './accepted-keys.ts';
import { expectedOf, Field, FieldError, type Group, parseScalar } from './field.ts';

/** What a file says, by path of key; nothing is decided about what it does not say. */
export interface YamlValues {
  /** Path of a field → its value, converted. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Paths of keys that were understood as Loki's and have no effect here. */
  readonly ignored: readonly string[];
  /** `file:line: what is wrong and what was expected`. */
  readonly problems: readonly string[];
}

/** Reads YAML (1.1, as Loki does) against `group`. `pathPrefix` is where `group` lies in Loki's configuration. */
export function readYaml(source: string, fileName: string, group: Group, pathPrefix = ''): YamlValues {
  const lines = new LineCounter();
  const document = parseDocument(source, { version: '1.1', merge: true, lineCounter: lines, prettyErrors: false });
  const reader = new Reader(document, lines, fileName);
  for (const error of document.errors) reader.problemAt(error.pos[0], error.message);
  if (document.errors.length === 0) reader.readGroup(document.contents, group, pathPrefix);
  return reader;
}

class Reader implements YamlValues {
  readonly values = new Map<string, unknown>();
  readonly ignored: string[] = [];
  readonly problems: string[] = [];
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;
  readonly #fileName: string;

  constructor(document: Document.Parsed, lines: LineCounter, fileName: string) {
    this.#document = document;
    this.#lines = lines;
    this.#fileName = fileName;
  }

  problemAt(offset: number, message: string): void {
    this.problems.push(`${this.#fileName}:${this.#lines.linePos(offset).line}: ${message}`);
  }

  readGroup(node: unknown, group: Group, prefix: string): void {
    this.#eachPair(node, prefix.slice(0, -1), (name, value, offset) => {
      const entry = Object.hasOwn(group, name) ? group[name] : undefined;
      const path = prefix + name;
      if (entry instanceof Field) this.#readField(value, entry, path, offset);
      else if (entry !== undefined) this.readGroup(value, entry, `${path}.`);
      else this.#readAccepted(value, path, offset);
    });
  }

  #eachPair(node: unknown, path: string, visit: (name: string, value: Node | null, offset: number) => void): void {
    const resolved = this.#resolve(node);
    if (resolved === null || (isScalar(resolved) && resolved.value === null)) return;
    const offset = resolved.range?.[0] ?? 0;
    if (!isMap(resolved)) {
      this.problemAt(offset, `${path || 'the file'}: expected a mapping of keys to values`);
      return;
    }
    for (const pair of resolved.items) {
      const key = pair.key as Node;
      const name = isScalar(key) ? String(key.source ?? key.value) : '';
      if (name === '<<') this.#eachPair(pair.value, path, visit);
      else visit(name, pair.value as Node | null, key.range?.[0] ?? offset);
    }
  }

  #resolve(node: unknown): Node | null {
    if (isAlias(node)) return node.resolve(this.#document) ?? null;
    return (node ?? null) as Node | null;
  }

  #readField(given: Node | null, field: Field<unknown>, path: string, offset: number): void {
    const node = this.#resolve(given);
    // `key:` with nothing behind it leaves the default, as in Loki.
    if (node === null || (isScalar(node) && node.value === null)) return;
    try {
      this.values.set(path, this.#valueOf(node, field));
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.problemAt(node.range?.[0] ?? offset, `${path}: ${error.message}`);
    }
  }

  #valueOf(node: Node, field: Field<unknown>): unknown {
    if (field.convert !== undefined) return field.convert(node.toJS(this.#document));
    if (field.kind === 'strings' && isSeq(node)) {
      return node.items.map((item) => {
        const scalar = this.#resolve(item);
        if (!isScalar(scalar)) throw new FieldError(`expected ${expectedOf.strings}`);
        return textOf(scalar);
      });
    }
    if (!isScalar(node))
      throw new FieldError(`expected ${expectedOf[field.kind]}, got a ${isSeq(node) ? 'list' : 'mapping'}`);
    return parseScalar(field, textOf(node));
  }

  #readAccepted(given: Node | null, path: string, offset: number): void {
    const known = acceptedKeys().byPath;
    const key = known.get(path);
    if (key !== undefined) {
      this.#checkAccepted(given, key.field, path, offset);
      this.ignored.push(path);
      return;
    }
    const isBlock = known.keys().some((other) => other.startsWith(`${path}.`));
    if (!isBlock) {
      this.problemAt(offset, `unknown key ${path}`);
      return;
    }
    this.#eachPair(given, path, (name, value, at) => this.#readAccepted(value, `${path}.${name}`, at));
  }

  #checkAccepted(given: Node | null, field: Field<unknown> | undefined, path: string, offset: number): void {
    const node = this.#resolve(given);
    if (node === null || field === undefined || (isScalar(node) && node.value === null)) return;
    try {
      this.#valueOf(node, field);
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.problemAt(node.range?.[0] ?? offset, `${path}: ${error.message}`);
    }
  }
}

/** A scalar as written, so that `2020-10-24`, `1_000` and `0x10` reach the field unchanged. */
function textOf(scalar: { value: unknown; source?: string; type?: string }): string {
  if (scalar.type === 'PLAIN' && scalar.source !== undefined) return scalar.source;
  return String(scalar.value);
}
