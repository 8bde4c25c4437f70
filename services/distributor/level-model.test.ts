import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultLimits } from '../config/limits.ts';
import { LEVELS, LevelDetector, normaliseLevel } from './level-detect.ts';

/** The rules once more, with strings and `JSON.parse`, for lines on which both readings are well defined. */
const fields = defaultLimits.log_level_fields;
const KNOWN: ReadonlySet<string> = new Set(LEVELS.slice(1));

function known(value: string | undefined): string | null {
  const level = normaliseLevel(value ?? '');
  return KNOWN.has(level) ? level : null;
}

function modelOfWords(line: string): string {
  const word = /(?<=^|[ \t\n[({"=])(trace|debug|fatal|critical|error|err|warning|warn|info)(?=$|[ \t\n[\](){}:,!"=])/i;
  return known(word.exec(line)?.[1]) ?? 'unknown';
}

function modelOfJson(value: object, depth: number): string | undefined {
  for (const [name, inner] of Object.entries(value)) {
    if (typeof inner === 'string') {
      if (fields.includes(name)) return inner;
    } else if (depth > 1 && inner !== null && typeof inner === 'object' && !Array.isArray(inner)) {
      const found = modelOfJson(inner as object, depth - 1);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function modelOfLogfmt(line: string): string | undefined {
  let rest = line.trimStart();
  let best = fields.length;
  let value: string | undefined;
  while (rest !== '') {
    const key = /^[^\s="]*/.exec(rest)![0];
    rest = rest.slice(key.length);
    if (key === '' || rest.startsWith('"')) break;
    let text = '';
    if (rest.startsWith('=')) {
      const quoted = /^="([^"\\]*)"/.exec(rest);
      const plain = /^=([^\s="]*)/.exec(rest)!;
      if (quoted === null && rest.startsWith('="')) break;
      text = (quoted ?? plain)[1]!;
      rest = rest.slice((quoted ?? plain)[0].length);
      if (quoted === null && /^[="]/.test(rest)) break;
    }
    const rank = fields.findIndex((field) => field.toLowerCase() === key.toLowerCase());
    if (rank >= 0 && rank < best) {
      best = rank;
      value = text;
    }
    rest = rest.trimStart();
  }
  return value;
}

const detector = new LevelDetector(fields, 2);
function detect(line: string, before = 'x level=fatal ', after = ' level=fatal'): string {
  const source = Buffer.from(`${before}${line}${after}`);
  return LEVELS[detector.detect(source, before.length, before.length + Buffer.byteLength(line))]!;
}

const word = fc.constantFrom(
  ...[
    'error',
    'ERR',
    'warn',
    'Warning',
    'info',
    'informational',
    'debug',
    'trace',
    'fatal',
    'critical',
    'wrn',
    'x',
    'ü',
  ],
);
const gap = fc.constantFrom(' ', ' ', '\t', '[', ']', '(', ')', ':', ',', '!', '.', '-', '{', '}', '"', '\n', '');

test('words are found where a regular expression finds them', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(gap, word, gap), { maxLength: 8 }), (parts) => {
      const line = `. ${parts.flat().join('')}`;
      assert.equal(detect(line), modelOfWords(line), JSON.stringify(line));
    }),
    { numRuns: 2000 },
  );
});

test('words are found wherever they begin, and whatever stands behind the line, if anything does', () => {
  const filler = fc.string({ unit: fc.constantFrom('x', 'é', ' '), maxLength: 20 });
  const after = fc.constantFrom('', 'x', ' fatal', 'error', ':ing it', 'xxxxxxx', '\u0012\u0005fatal');
  fc.assert(
    fc.property(filler, gap, word, gap, filler, after, (left, open, found, close, right, behind) => {
      const line = `${left}${open}${found}${close}${right}`;
      for (const before of ['', ' ', 'info '])
        assert.equal(detect(line, before, behind), modelOfWords(line), JSON.stringify([before, line, behind]));
    }),
    { numRuns: 3000 },
  );
});

const name = fc.constantFrom('level', 'LEVEL', 'severity', 'lvl', 'Lvl', 'msg', 'a b', 'le"vel', 'é', '');
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    word,
    fc.string(),
    fc.integer(),
    fc.constantFrom(null, true, false),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

test('JSON is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }),
      fc.constantFrom(0, 2),
      (object, indent) => {
        const line = JSON.stringify(object, null, indent);
        assert.equal(detect(line), known(modelOfJson(JSON.parse(line) as object, 2)) ?? modelOfWords(line), line);
      },
    ),
    { numRuns: 1000 },
  );
});

const key = fc.constantFrom('level', 'LeVel', 'severity', 'lvl', 'msg', 'a.b', 'k');
const pair = fc.tuple(
  key,
  fc.oneof(
    word.map((text) => `=${text}`),
    word.map((text) => `="${text} and more"`),
    word.map((text) => `="${text}"`),
    fc.constantFrom('', '=', '=""', '=a=b', '=a"b', '"'),
  ),
);

test('logfmt is read as a regular expression reads it', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), (pairs) => {
      const line = pairs.map(([k, v]) => k + v).join(' ');
      assert.equal(detect(line), known(modelOfLogfmt(line)) ?? modelOfWords(line), JSON.stringify(line));
    }),
    { numRuns: 2000 },
  );
});
