import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { unquoteGo } from '../units/index.ts';
import { compileTemplate, type TemplateData, TemplateError } from './index.ts';

const LABELS: Readonly<Record<string, string>> = {
  a: '1',
  count: '42',
  dur: '1.5s',
  empty: '',
  level: 'info',
  msg: 'order placed',
  path: '/a b?c=1',
  uni: 'Tōkyō 日本😀',
};

const LINE = '{"user":{"name":"Bo"},"items":[{"sku":"A","qty":1},{"sku":"B","qty":2.5}]}';

const ROW: TemplateData = {
  get: (name) => (Object.hasOwn(LABELS, name) ? LABELS[name] : undefined),
  entries: () => Object.entries(LABELS),
  line: () => LINE,
  timestampNs: () => 1_795_168_920_377_759_461n,
};

interface Case {
  readonly line: number;
  readonly template: string;
  readonly expected: string;
  readonly isError: boolean;
}

function readCases(file: string): Case[] {
  const cases: Case[] = [];
  let template: string | null = null;
  const unquoted = (text: string) => (/^".*"$/.test(text) && !text.startsWith('"a\\"b"') ? unquoteGo(text) : text);
  for (const [i, text] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (template === null) {
      if (text !== '' && !text.startsWith('#')) template = unquoted(text);
      continue;
    }
    assert.match(text, /^[=!] /, `${file}:${i + 1} is no result`);
    cases.push({ line: i + 1, template, expected: unquoted(text.slice(2)), isError: text[0] === '!' });
    template = null;
  }
  return cases;
}

function outcome(template: string, row: TemplateData): { text: string; isError: boolean } {
  try {
    return { text: compileTemplate(template, 't').execute(row), isError: false };
  } catch (error: unknown) {
    if (error instanceof TemplateError) return { text: error.message, isError: true };
    throw error;
  }
}

const testdata = new URL('testdata/', import.meta.url);

for (const file of readdirSync(testdata).sort()) {
  describe(file, () => {
    for (const { line, template, expected, isError } of readCases(new URL(file, testdata).pathname)) {
      test(`${file}:${line} ${template}`, () => {
        assert.deepEqual(outcome(template, ROW), { text: expected, isError });
      });
    }
  });
}

describe('a compiled template', () => {
  test('names the labels that it reads', () => {
    const template = compileTemplate(
      '{{.a}}{{if .b}}{{.c.d | upper}}{{end}}{{(index $.e 0).f}}{{$x := .g}}{{$x}}',
      'line',
    );
    assert.deepEqual([...template.labels].sort(), ['a', 'b', 'c', 'e', 'f', 'g']);
    assert.equal(template.usesAllLabels, false);
    assert.equal(template.usesLine, false);
  });
  test('says when any label may count', () => {
    for (const text of ['{{.}}', '{{index . "x"}}', '{{range $k, $v := $}}{{end}}', '{{define "t"}}{{.}}{{end}}']) {
      assert.equal(compileTemplate(text, 'line').usesAllLabels, true, text);
    }
  });
  test('says when it reads the line', () => {
    assert.equal(compileTemplate('{{ (fromJson __line__).x }}', 'line').usesLine, true);
    assert.equal(compileTemplate('__line__', 'line').usesLine, false);
  });
  test('looks a plain field up without listing the labels', () => {
    const row: TemplateData = {
      ...ROW,
      entries: () => assert.fail('labels were listed'),
    };
    assert.equal(compileTemplate('<{{.level}}> {{.nope}}{{.msg | upper}}', 'line').execute(row), '<info> ORDER PLACED');
    assert.equal(compileTemplate('{{.level}}', 'line').execute(row), 'info');
  });
  test('keeps nothing from row to row', () => {
    const template = compileTemplate('{{$n := 0}}{{range 2}}{{$n = add $n 1}}{{end}}{{$n}}', 'line');
    assert.equal(template.execute(ROW), '2');
    assert.equal(template.execute(ROW), '2');
  });
  test('takes now from the clock', () => {
    const before = Date.now();
    const now = Number(compileTemplate('{{ now | unixEpochMillis }}', 'line').execute(ROW));
    assert.ok(before <= now && now <= Date.now(), `${now}`);
  });
  test('goes on after an error in a called template', () => {
    const template = compileTemplate('{{define "x"}}{{div 1 (int .)}}{{end}}{{template "x" .n}}', 'line');
    const row = (n: string): TemplateData => ({ ...ROW, get: () => n });
    assert.throws(() => template.execute(row('0')), TemplateError);
    assert.equal(template.execute(row('1')), '1');
  });
  test('refuses deep nesting and length beyond that of a query', () => {
    const deep = `${'('.repeat(5000)}1${')'.repeat(5000)}`;
    assert.throws(() => compileTemplate(`{{${deep}}}`, 'line'), /max expression depth exceeded/);
    assert.throws(() => compileTemplate('{{if 1}}'.repeat(5000), 'line'), /max expression depth exceeded/);
    assert.throws(() => compileTemplate('x'.repeat(200_000), 'line'), /template is too long/);
  });
  test('stops when the text grows beyond its bound', () => {
    const template = compileTemplate('{{range 100}}{{repeat 100000 "x"}}{{end}}', 'line');
    assert.throws(() => template.execute(ROW), /result is longer than 4194304 characters/);
  });
  test('stops when blocks and calls nest too deep together', () => {
    const opening = '{{range 1}}{{with 1}}'.repeat(90);
    const text = `{{define "x"}}${opening}{{template "x"}}${'{{end}}'.repeat(180)}{{end}}{{template "x"}}`;
    assert.throws(() => compileTemplate(text, 'line').execute(ROW), /exceeded maximum nesting/);
  });
  test('bounds work that steps alone do not show', () => {
    for (const text of [
      '{{range 1000000}}{{count (printf "a%d" .) "x"}}{{end}}',
      '{{$s := repeat 1000000 "x"}}{{range 1000000}}{{if eq (upper $s) ""}}{{end}}{{end}}',
      '{{$m := fromJson __line__}}{{range 1000000}}{{range $m}}{{break}}{{end}}{{end}}',
      `{{ mulf ${'1.5 '.repeat(2000)} }}`,
    ]) {
      const result = outcome(text, ROW);
      assert.match(result.text, /takes more than 1000000 steps|too many operands/, text);
    }
  });
  test('reads JSON that is nested too deep as none', () => {
    const row: TemplateData = { ...ROW, line: () => `${'['.repeat(100_000)}${']'.repeat(100_000)}` };
    assert.equal(compileTemplate('{{ fromJson __line__ }}', 'line').execute(row), '<no value>');
  });
});

describe('any template', () => {
  const WORDS = [
    ...[
      '{{',
      '}}',
      '{{- ',
      ' -}}',
      '/*',
      '*/',
      ' ',
      '|',
      '(',
      ')',
      '.',
      '$',
      '$x',
      ':=',
      '=',
      ',',
      '"a"',
      '`b`',
      "'c'",
    ],
    ...[
      '1',
      '-2',
      '0x1F',
      '1.5',
      '1e300',
      '2i',
      'nil',
      'true',
      '.level',
      '.msg',
      '.nope.x',
      '$.a',
      '__line__',
      '__timestamp__',
    ],
    ...[
      'if',
      'else',
      'end',
      'range',
      'with',
      'define',
      'template',
      'block',
      'break',
      'continue',
      '"t"',
      '{{end}}',
      '\n',
    ],
    ...[
      'printf',
      'print',
      'index',
      'slice',
      'len',
      'eq',
      'lt',
      'and',
      'or',
      'not',
      'call',
      'html',
      'js',
      'upper',
      'title',
    ],
    ...[
      'repeat',
      'indent',
      'trunc',
      'substr',
      'Replace',
      'regexReplaceAll',
      'count',
      'alignRight',
      'default',
      'fromJson',
    ],
    ...['add', 'div', 'mulf', 'divf', 'round', 'max', 'bytes', 'duration', 'int', 'float64', 'b64dec', 'urldecode'],
    ...[
      'date',
      'toDate',
      'toDateInZone',
      'unixToTime',
      '"%5.2f %s %[9]d %*v"',
      '"2006-01-02"',
      '"Europe/Paris"',
      '"[1,{}]"',
    ],
  ];

  test('ends with a text or a TemplateError', () => {
    const source = fc.array(fc.constantFrom(...WORDS), { maxLength: 30 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(source, (template) => {
        outcome(template, ROW);
      }),
      { numRuns: 3000 },
    );
  });

  test('with well-formed calls of every function ends with a text or a TemplateError', () => {
    const operand = fc.constantFrom(
      ...[
        '.level',
        '.msg',
        '.uni',
        '"x"',
        '""',
        '5',
        '-1',
        '0',
        '1.5',
        '9223372036854775807',
        'nil',
        'true',
        '.',
        '__line__',
      ],
      ...[
        '__timestamp__',
        '(fromJson __line__)',
        '(fromJson "[1,null,\\"a\\"]")',
        '(add 1 2)',
        '"%d%s%v%q%x%e"',
        '"["',
        '"%zz"',
      ],
    );
    const name = fc.constantFrom(
      ...'and or not len index slice eq ne lt le gt ge print printf println html js urlquery call'.split(' '),
      ...'ToLower Replace Trim TrimLeft TrimRight TrimPrefix regexReplaceAll regexReplaceAllLiteral count'.split(' '),
      ...'urlencode urldecode bytes duration unixEpochMillis unixEpochNanos toDateInZone unixToTime alignLeft'.split(
        ' ',
      ),
      ...'alignRight b64enc b64dec lower upper title trunc substr contains hasPrefix indent nindent replace repeat'.split(
        ' ',
      ),
      ...'trim trimAll int float64 add sub mul div mod addf subf mulf divf max min maxf minf ceil floor round'.split(
        ' ',
      ),
      ...'fromJson date toDate now unixEpoch default __timestamp__.Format __timestamp__.AddDate .level.x'.split(' '),
    );
    const call = fc.tuple(name, fc.array(operand, { maxLength: 4 })).map(([f, args]) => `${f} ${args.join(' ')}`);
    const template = fc.array(call, { minLength: 1, maxLength: 3 }).map((calls) => `{{ ${calls.join(' | ')} }}`);
    fc.assert(
      fc.property(template, (text) => {
        outcome(text, ROW);
      }),
      { numRuns: 5000 },
    );
  });
});
