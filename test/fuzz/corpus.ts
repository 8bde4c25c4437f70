import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** The queries of the parser's and evaluator's test data, good and bad ones. */
export function queries(): string[] {
  const found = new Set<string>();
  for (const file of globSync('logql/{syntax,aggregate}/testdata/*.txt', { cwd: root })) {
    for (const paragraph of readFileSync(join(root, file), 'utf8').split('\n\n')) {
      const query = paragraph.split('\n----')[0]!.trim();
      if (query !== '' && !query.startsWith('#') && query.length < 400) found.add(query);
    }
  }
  return [...found];
}

/** Words and signs of the query language. */
export const QUERY_TOKENS: readonly string[] = [
  ...'{ } ( ) [ ] , | |= != |~ !~ |> !> =~ = == > >= < <= + - * / % ^ " ` \' \\ # // /* */ 1 0 .5 1e9 0x1F 1d2h5m -5s 10KiB'.split(
    ' ',
  ),
  ...'by without on ignoring group_left group_right bool offset unwrap json logfmt regexp pattern unpack decolorize'.split(
    ' ',
  ),
  ...'line_format label_format drop keep and or unless sum avg topk sort rate count_over_time quantile_over_time'.split(
    ' ',
  ),
  ...'label_replace vector absent_over_time variants of ip bytes duration duration_seconds --strict --keep-empty'.split(
    ' ',
  ),
  ' ',
  '\n',
  '{app="a"}',
  '[5m]',
  '"(a+)+$"',
  '"{{.a}}"',
  '"<a> <_>"',
  '__error__',
  'é',
  '\ud800',
  '\u0000',
  '((((((((((',
];

export const LINES: readonly string[] = [
  '',
  '{"a":"b","n":1.5e3,"t":true,"z":null,"o":{"p":{"q":"r"}},"l":[1,"two",{"three":3}],"h-i":"\\u00e9\\n","app":"x"}',
  '{"a":"\\ud83d\\ude00","b":"\\ud83d","1n":"x","":"empty","a":"again"}',
  '{"_entry":"the line","a":"b","n":1}',
  '[1,{"a":"b"},[2,[3]]]',
  '"text"',
  'level=info msg="two words" ms=250ms size=10KB a=1 b= c app=x é=ü',
  'level="\\"q\\"" msg=a=b "x" =y z="open',
  'GET /path/é?x=1 HTTP/1.1 200 5 MiB 10.0.0.7 fe80::1 1.5s',
  '\u001b[1;31mred\u001b[0m \u009b32mgreen',
  '10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326',
  'error error ERROR Error 1 2 3 4 aaaaaaaaaaaaaaaaaaaaaaaa!',
];
export const LINE_TOKENS: readonly string[] = [
  ...'{ } [ ] : , " = \\ \\u \\u00 \\" \\\\ null true -1 1e 0.0.0.0 :: a= =" "= "" {"a": ,"b": [[[[ ]]]] \t \n ü 😀'.split(
    ' ',
  ),
  '\ufffd',
  '\u001b[',
  ' ',
  '{"a":'.repeat(40),
  'aaaaaaaaaaaaaaaaaaaa',
];

export const PATTERNS: readonly string[] = [
  '(a+)+$',
  '^(?:a|aa)+$',
  '(?P<ip>\\d+\\.\\d+)',
  '[a-z]+',
  '[^[:alpha:]\\d]',
  '(?i)error|warn',
  '\\bword\\b',
  '(?s).*x.*',
  '(?m)^a$',
  'a{2,5}?b*',
  '\\p{Greek}\\pL\\x{10FFFF}',
  '\\Q.*\\E',
  '(a|b)*abb',
  'x*?y+?',
  '(?U)a+',
  '.+',
  '',
  '[\\]\\-a]',
  '(((((a)))))',
  '(?P<a>(?P<b>c)?)',
];
export const PATTERN_TOKENS: readonly string[] = [
  ...'( ) [ ] [^ { } {2} {1,} {0,900} * + ? *? +? ?? | ^ $ . \\ \\b \\B \\d \\W \\pL \\p{Lu} \\x41 \\x{e9} \\Q \\E \\A \\z'.split(
    ' ',
  ),
  ...'(?: (?i) (?s: (?P<n> (?<n> (?= (?! \\1 [[:word:]] [a-z] é 😀 a aa - ,'.split(' '),
];

export const TEMPLATES: readonly string[] = [
  '{{.a}} {{.b}}',
  '{{if eq .a "x"}}y{{else if .b}}z{{else}}w{{end}}',
  '{{range $i, $v := .}}{{$i}}={{$v}} {{break}}{{end}}',
  '{{with $x := .a}}{{$x}}{{end}}',
  '{{define "t"}}[{{.}}]{{end}}{{template "t" .a}}',
  '{{.a | ToUpper | printf "%-10s|%5.2f" }}',
  '{{printf "%d %x %v %q %08.3f %+v %T" (int .n) .n .a .a 1.5 . .a}}',
  '{{div (int .n) 0}}',
  '{{substr 0 3 .a}}{{trunc -2 .a}}{{repeat 3 .a}}{{alignLeft 5 .a}}',
  '{{regexReplaceAll "(a)(b)?" .a "$2$1"}}{{count "a" .a}}',
  '{{__timestamp__ | date "2006-01-02T15:04:05.00Z07:00"}}',
  '{{toDate "2006-01-02" .a | unixEpoch}}{{unixToTime .n}}',
  '{{fromJson .j | printf "%v"}}{{range $k, $v := fromJson .j}}{{$k}}{{end}}',
  '{{index (fromJson .j) "a"}}{{len .a}}{{slice .a 1 2}}',
  "{{- /* c */ -}} {{1.5e3}} {{0x1F}} {{'a'}} {{`raw`}} {{nil | not}}",
  '{{addf .n 1 2 | mulf 3}}{{round .n 2}}{{bytes .s}}{{duration .d}}',
  '{{b64enc .a | b64dec}}{{urlencode .a | urldecode}}{{html .a}}{{js .a}}',
  '{{and .a .b | or .c}}{{lt 1 2}}{{ne .a .b}}{{call .a}}',
];
export const TEMPLATE_TOKENS: readonly string[] = [
  ...'{{ }} {{- -}} ( ) | . $ $x := = , end if else range with define template block break continue nil true'.split(
    ' ',
  ),
  ...'.a .n .j "x" 1 -1 1e9 99999999999999999999 printf "%d" "%*d" "%[2]v" repeat 100 int float64 index len slice'.split(
    ' ',
  ),
  ' ',
  '__line__',
  '__timestamp__',
  '`',
  '"',
  '\\',
  'é',
];
