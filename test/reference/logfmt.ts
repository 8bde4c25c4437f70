import { encodedLength } from './text.ts';

export interface LogfmtPair {
  readonly key: string;
  readonly value: string;
}

export interface LogfmtReading {
  readonly pairs: readonly LogfmtPair[];
  /** The first error, '' without one. */
  readonly error: string;
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** `key=value key2="quoted" bare`, word by word. `strict`: the first error ends it. */
export function readLogfmt(line: string, strict: boolean): LogfmtReading {
  const pairs: LogfmtPair[] = [];
  let error = '';
  let at = 0;
  const isSpace = (c: string | undefined): boolean => c !== undefined && c <= ' ';
  while (at < line.length) {
    if (isSpace(line[at])) {
      at++;
      continue;
    }
    try {
      const [pair, after] = readPair(line, at);
      pairs.push(pair);
      at = after;
    } catch (trouble: unknown) {
      if (!(trouble instanceof LogfmtTrouble)) throw trouble;
      const position = encodedLength(line.slice(0, trouble.at)) + 1;
      if (error === '') error = `logfmt syntax error at pos ${position} : ${trouble.message}`;
      if (strict) break;
      at = trouble.at;
      while (at < line.length && !isSpace(line[at])) at++;
    }
  }
  return { pairs, error };
}

class LogfmtTrouble extends Error {
  readonly at: number;
  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

function readPair(line: string, start: number): [LogfmtPair, number] {
  const key = /^[^\0- ="]*/.exec(line.slice(start))![0];
  let at = start + key.length;
  if (line[at] === '"' || (line[at] === '=' && key === '')) throw new LogfmtTrouble(at, `unexpected '${line[at]}'`);
  if (key.includes('\ufffd')) throw new LogfmtTrouble(at, 'invalid key');
  if (line[at] !== '=') return [{ key, value: '' }, at];
  at++;
  if (line[at] !== '"') {
    const value = /^[^\0- ="]*/.exec(line.slice(at))![0];
    at += value.length;
    if (line[at] === '=' || line[at] === '"') throw new LogfmtTrouble(at, `unexpected '${line[at]}'`);
    return [{ key, value }, at];
  }
  const quoted = /^"((?:[^"\\]|\\[\s\S])*)"/.exec(line.slice(at));
  if (quoted === null) throw new LogfmtTrouble(line.length, 'unterminated quoted value');
  const raw = quoted[1]!;
  at += quoted[0].length;
  if (!raw.includes('\\')) return [{ key, value: raw }, at];
  if (!/^(?:[^\\\0-\x1f]|\\(?:["'\\/bfnrt]|u[0-9a-fA-F]{4}))*$/.test(raw)) {
    throw new LogfmtTrouble(at, 'invalid quoted value');
  }
  const value = raw
    .replaceAll(/\\(?:u([0-9a-fA-F]{4})|(.))/g, (_, hex: string | undefined, c: string) =>
      hex !== undefined ? String.fromCharCode(Number.parseInt(hex, 16)) : (ESCAPES[c] ?? c),
    )
    .toWellFormed();
  return [{ key, value }, at];
}
