import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { MAX_UNROLLED_SIZE } from './compile.ts';
import { compileRegex, MAX_PATTERN_LENGTH, type Regex, RegexError, unrolledSize, validateRegex } from './index.ts';

const RUNS = Number(process.env.LOPTR_FUZZ_RUNS ?? 4000);

function groups(pattern: string, text: string): readonly (string | undefined)[] | undefined {
  const found = compileRegex(pattern).exec(text)?.groups;
  return found && [...found];
}

describe('compileRegex', () => {
  it('folds case by Unicode simple folding', () => {
    assert.equal(compileRegex('(?i)k').test('\u212a'), true);
    assert.equal(compileRegex('(?i)[x-z]').test('Y'), true);
    assert.equal(compileRegex('(?i)strasse').test('straße'), false);
    assert.equal(compileRegex('(?i)σ').test('ς'), true);
    assert.equal(compileRegex('a(?i)b(?-i)c').test('aBc'), true);
    assert.equal(compileRegex('a(?i:b)c').test('aBC'), false);
  });

  it('lets the dot match everything but a line feed', () => {
    assert.equal(compileRegex('^a.b$').test('a\rb'), true);
    assert.equal(compileRegex('^a.b$').test('a\u2028b'), true);
    assert.equal(compileRegex('^a.b$').test('a\nb'), false);
    assert.equal(compileRegex('(?s)^a.b$').test('a\nb'), true);
    assert.equal(compileRegex('^.$').test('😀'), true);
    assert.equal(compileRegex('^[^a]$').test('😀'), true);
  });

  it('anchors to the text, or with m to lines that end at line feeds only', () => {
    assert.equal(compileRegex('^b').test('a\nb'), false);
    assert.equal(compileRegex('(?m)^b$').test('a\nb\nc'), true);
    assert.equal(compileRegex('(?m)^b').test('a\rb'), false);
    assert.equal(compileRegex('a\\z').test('a\n'), false);
    assert.equal(compileRegex('\\Ab').test('ab'), false);
  });

  it('matches the whole text when anchored, alternatives included', () => {
    const regex = compileRegex('a|bc', { anchored: true });
    assert.deepEqual(
      ['a', 'bc', 'ab', 'abc', ''].map((text) => regex.test(text)),
      [true, true, false, false, false],
    );
  });

  it('knows classes as RE2 does', () => {
    assert.equal(compileRegex('^\\s$').test('\v'), false);
    assert.equal(compileRegex('^[[:space:]]$').test('\v'), true);
    assert.equal(compileRegex('^\\w$').test('é'), false);
    assert.equal(compileRegex('^\\pL$').test('é'), true);
    assert.equal(compileRegex('^\\p{Greek}+$').test('λόγος'), true);
    assert.equal(compileRegex('^[^\\p{Lu}]+$').test('abcÉ'), false);
    assert.equal(compileRegex('^[[:^digit:]-]+$').test('a-b'), true);
  });

  it('keeps the group of an earlier turn of a repeat', () => {
    assert.deepEqual(groups('(?:(a)|b)*', 'ab'), ['ab', 'a']);
    assert.deepEqual(groups('(a*)?', ''), ['', '']);
  });

  it('does not blow up', () => {
    const text = 'a'.repeat(100_000);
    for (const pattern of [
      '(a+)+$b',
      '(a|aa)+$b',
      '(a*)*b',
      '(?i)(a+)+[^a]',
      '(.*)(.*)(.*)(.*)=b',
      '(a{1,30}){1,20}b',
    ]) {
      assert.equal(compileRegex(pattern).test(text), false, pattern);
    }
  });

  it('does not make V8 compile what it cannot', () => {
    assert.equal(compileRegex('(?:(?:\\b){17}){17}x').test(' x'), true);
    assert.equal(compileRegex('(?:(?:\\b|a){16}){16}x').test(' ax'), true);
  });

  it('refuses what Go refuses, in its words', () => {
    const texts: Record<string, string> = {
      '[a': 'error parsing regexp: missing closing ]: `[a`',
      'a**': 'error parsing regexp: invalid nested repetition operator: `**`',
      '\\1': 'error parsing regexp: invalid escape sequence: `\\1`',
      '(': 'error parsing regexp: missing closing ): `(`',
      '(?=a)': 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`',
      'a{1001}': 'error parsing regexp: invalid repeat count: `{1001}`',
    };
    for (const [pattern, message] of Object.entries(texts)) {
      assert.throws(() => validateRegex(pattern), { name: 'RegexError', message });
    }
    assert.throws(() => validateRegex('a'.repeat(MAX_PATTERN_LENGTH + 1)), RegexError);
  });

  it('replaces and counts as Go does', () => {
    assert.equal(compileRegex('a(x*)b').replaceAll('-ab-axxb-', '${1}W$$'), '-W$-xxW$-');
    assert.equal(compileRegex('a(x*)b').replaceAll('-ab-axxb-', '$1W'), '---');
    assert.equal(compileRegex('a(?P<n>x*)b').replaceAll('axb', '$n.$other.'), 'x..');
    assert.equal(compileRegex('a*').replaceAllLiteral('baac', '$1'), '$1b$1c$1');
    assert.equal(compileRegex('a*').count('baac'), 3);
    assert.equal(compileRegex('').replaceAllLiteral('😀', '-'), '-😀-');
  });

  it('tells what every match contains', () => {
    const required = (pattern: string) => compileRegex(pattern).traits.requiredLiterals;
    assert.deepEqual(required('foo.*barbaz'), ['barbaz', 'foo']);
    assert.deepEqual(required('a(bc)+d'), ['abc', 'd']);
    assert.deepEqual(required('foo|bar'), []);
    assert.deepEqual(required('(?i)foo'), []);
    assert.deepEqual(required('x(foo)?y'), ['x', 'y']);
    assert.equal(compileRegex('a\\.b').traits.literal, 'a.b');
    assert.equal(compileRegex('.*').traits.matchesEverything, true);
    assert.equal(compileRegex('.+').traits.matchesEverything, false);
    assert.equal(compileRegex('.*', { anchored: true }).traits.matchesEverything, true);
    assert.equal(compileRegex('a*', { anchored: true }).traits.matchesEverything, false);
  });
});

const atom = fc.constantFrom(
  ...[
    'a',
    'b',
    'k',
    'é',
    '😀',
    's',
    '.',
    '\\d',
    '\\w',
    '\\W',
    '\\s',
    '\\pL',
    '\\PL',
    '[ab]',
    '[^a]',
    '[^\\d😀]',
    '[a-fé]',
  ],
  ...[
    '^',
    '$',
    '\\b',
    '\\B',
    '\\A',
    '\\z',
    '[[:upper:]]',
    '[é-😀]',
    '\\x{1F600}',
    '\\n',
    '\\Qa+\\E',
    '(?i)',
    '(?m)',
    '(?s)',
    '(?U)',
  ],
);
const pattern = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    atom,
    fc.array(tie('node'), { maxLength: 3 }).map((items) => items.join('')),
    fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
    tie('node').map((item) => `(${item})`),
    fc
      .tuple(fc.constantFrom('(?i:', '(?s:', '(?m:', '(?U:', '(?-i:'), tie('node'))
      .map(([open, item]) => `${open}${item})`),
    fc
      .tuple(
        tie('node'),
        fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{0,2}', '{2,}', '{3,18}', '{17}?', '{0}'),
      )
      .map(([item, count]) => `(?:${item})${count}`),
  ),
})).node;
const text = fc
  .array(
    fc.constantFrom('a', 'b', 'A', 'k', 'K', '\u212a', 'é', 'É', '😀', ' ', '1', '\n', '\r', '-', 'ſ', '😁', 'ß'),
    { maxLength: 24 },
  )
  .map((parts) => parts.join(''));

/** Counts multiply when nested, and RE2 refuses more than 1000. */
function isPattern(source: string): boolean {
  try {
    RE2JS.compile(source);
    return true;
  } catch {
    return false;
  }
}

describe('Regex and re2js', () => {
  it('agree on random patterns and texts', () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1, maxLength: 3 }), (source, texts) => {
        if (!isPattern(source) || unrolledSize(source) > MAX_UNROLLED_SIZE) {
          assert.throws(() => compileRegex(source), RegexError);
          return;
        }
        const judge = RE2JS.compile(source);
        const regex: Regex = compileRegex(source);
        for (const subject of texts) {
          const expected = judge.matcher(subject);
          const found = expected.find();
          assert.equal(regex.test(subject), found, `test /${source}/ on ${JSON.stringify(subject)}`);
          const match = regex.exec(subject);
          assert.equal(match !== null, found);
          if (match === null) continue;
          assert.equal(match.index, expected.start(), `index of /${source}/ on ${JSON.stringify(subject)}`);
          for (let i = 0; i < regex.names.length; i++) {
            assert.equal(
              match.groups[i] ?? null,
              expected.group(i),
              `group ${i} of /${source}/ on ${JSON.stringify(subject)}`,
            );
          }
          for (const literal of regex.traits.requiredLiterals) assert.ok(match.groups[0]!.includes(literal));
          if (regex.traits.literal !== null) assert.equal(match.groups[0], regex.traits.literal);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

it('captures in what is repeated no times keep their numbers', () => {
  assert.deepEqual([...compileRegex('(?:(a)){0}(b)').exec('b')!.groups], ['b', undefined, 'b']);
});
