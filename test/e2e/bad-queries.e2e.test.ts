import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Answer, nowNs, TestClient, until } from '../harness/client.ts';
import { ReadyWatch } from '../harness/ready-watch.ts';
import { TestServer } from '../harness/server.ts';

/** Far above what each query takes on an idle machine; a query that hangs ends with 504 and fails its test. */
const QUERY_TIMEOUT_MS = 20_000;

const PATH = '/loki/api/v1/query_range';
const cwd = await mkdtemp(join(tmpdir(), 'loptr-bad-queries-'));
let server: TestServer;
let client: TestClient;

before(async () => {
  server = await TestServer.start({ cwd, args: [`-querier.query-timeout=${QUERY_TIMEOUT_MS}ms`] });
  client = new TestClient(server.url);
  const now = nowNs();
  await client.mustPush([
    {
      stream: { app: 'bad', name: 'x'.repeat(1500) },
      values: [
        [`${now}`, `${'a'.repeat(200_000)}!`],
        [`${now + 1n}`, '{"a":'.repeat(20_000)],
        [`${now + 2n}`, `${'k=v '.repeat(20_000)}n=1`],
        [`${now + 3n}`, 'x=y=z '.repeat(20_000)],
      ],
    },
  ]);
});

after(async () => {
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await rm(cwd, { recursive: true });
});

/** Sends a query as Grafana does; while it runs, `/ready` goes on being answered (its watch gives up after seconds). */
async function ask(query: string, path = PATH): Promise<Answer> {
  const watch = new ReadyWatch(server.url);
  const answer = await client.post(path, { query });
  const ready = await watch.stop();
  assert.equal(ready.failures, 0, `/ready failed; its slowest answer took ${ready.worstMs} ms`);
  return answer;
}

async function assertAnswered(query: string, path?: string): Promise<void> {
  const { status, text } = await ask(query, path);
  assert.equal(status, 200, text.slice(0, 300));
  JSON.parse(text);
}

async function assertRefused(query: string, reason: RegExp, path?: string): Promise<void> {
  const { status, text } = await ask(query, path);
  assert.equal(status, 400, text.slice(0, 300));
  assert.match(text.slice(0, 2000), reason);
}

/** Exponential or quadratic for engines that backtrack. */
const HUNGRY = ['(a+)+$', '(a|aa)+$', '^(a?){60}a{60}$', '(.*)*x', '(a*)*b|(a|a)*c', '([a-z]+)*\\d'];
/** Linear, but with a thousand steps a byte. */
const SLOW = '(?:a{0,900}){1}b';

test('patterns that backtracking engines never finish are answered on a long line', async () => {
  for (const pattern of HUNGRY) {
    const quoted = JSON.stringify(pattern);
    await assertAnswered(`{app="bad"} |~ ${quoted}`);
    await assertAnswered(`{app="bad"} | regexp ${JSON.stringify(`(?P<x>${pattern})`)} | line_format "{{.x}}"`);
    await assertAnswered(`{app="bad"} | line_format ${JSON.stringify(`{{regexReplaceAll ${quoted} __line__ ""}}`)}`);
  }
});

test('label_replace with such patterns is answered', async () => {
  for (const pattern of HUNGRY) {
    const query = `label_replace(sum by (name) (count_over_time({app="bad"}[1h])), "dst", "$1", "name", ${JSON.stringify(pattern)})`;
    await assertAnswered(query, '/loki/api/v1/query');
  }
});

test('parsers come to an end with lines that are nearly what they read', async () => {
  for (const stages of [
    '| json',
    '| json x="a.a.a[0].b", y="b"',
    '| unpack',
    '| logfmt',
    '| logfmt --strict --keep-empty',
    '| pattern "<a>=<b> <c>=<d>"',
    '|> "<_>a<_>a<_>a<_>b<_>"',
    '|= ip("10.0.0.0/8")',
    '| decolorize',
  ]) {
    await assertAnswered(`{app="bad"} ${stages} | line_format "short"`);
  }
});

test('templates that would make endless text are cut off as errors of the line', async () => {
  for (const template of [
    '{{repeat 1000000000 "ab"}}',
    '{{printf "%1000000000d" 1}}',
    '{{alignLeft 2000000000 "x"}}',
    '{{define "t"}}{{template "t" .}}{{end}}{{template "t" .}}',
    '{{range $k, $v := .}}{{range $k, $v := $}}{{range $k, $v := $}}{{__line__}}{{end}}{{end}}{{end}}',
  ]) {
    const { status, text } = await ask(`{app="bad"} | line_format ${JSON.stringify(template)}`);
    assert.ok(status === 200 || status === 400, `${status} ${text.slice(0, 300)}`);
  }
});

test('a query of the greatest length is answered, one byte more is refused', async () => {
  const padded = (bytes: number) => `{app="bad"} |= "${'x'.repeat(bytes - '{app="bad"} |= ""'.length)}"`;
  await assertAnswered(padded(131_071));
  await assertRefused(padded(131_072), /^parse error : /);
});

test('a long query of many small parts is answered or refused in words', async () => {
  const filters = '|= "x" '.repeat(18_000);
  const sums = `${'sum(count_over_time({app="bad"}[1m])) + '.repeat(1000)}1`;
  const chain = `{app="bad"} |= "a"${' or "b"'.repeat(15_000)}`;
  const labels = `{app="bad"} | ${'a="b" or '.repeat(12_000)}a="c"`;
  const alternatives = `{app=~"${Array.from({ length: 12_000 }, (_, i) => `name${i}`).join('|')}"}`;
  for (const query of [`{app="bad"} ${filters}`, sums, chain, labels, alternatives]) {
    const { status, text } = await ask(query);
    assert.ok(status === 200 || status === 400, `${status} ${text.slice(0, 300)}`);
  }
});

test('deep nesting is refused in words', async () => {
  const depth = 10_000;
  for (const query of [
    `${'('.repeat(depth)}{app="bad"}${')'.repeat(depth)}`,
    `${'('.repeat(depth)}count_over_time({app="bad"}[1m])${')'.repeat(depth)}`,
    `${'sum('.repeat(depth)}count_over_time({app="bad"}[1m])${')'.repeat(depth)}`,
    `{app="bad"} | ${'('.repeat(depth)}a="b"${')'.repeat(depth)}`,
    `{app="bad"} |~ "${'('.repeat(depth)}a${')'.repeat(depth)}"`,
    `{app="bad"} | line_format "${'{{if .a}}'.repeat(depth)}${'{{end}}'.repeat(depth)}"`,
    '('.repeat(depth),
  ]) {
    const { status, text } = await ask(query);
    assert.ok(status === 200 || status === 400, `${status} ${text.slice(0, 300)}`);
  }
  await assertRefused('('.repeat(depth), /^parse error/);
});

test('patterns that are too large or no patterns are refused in words', async () => {
  for (const pattern of [
    '(a{1000}){1000}',
    '((a{100}){100}){100}',
    '(?=a)',
    '\\1',
    '[',
    'a**',
    '\\pX',
    `${'a?'.repeat(60_000)}`,
  ]) {
    const quoted = JSON.stringify(pattern);
    for (const query of [`{app=~${quoted}}`, `{app="bad"} |~ ${quoted}`]) {
      const { status, text } = await ask(query);
      assert.ok(status === 200 || status === 400, `${pattern.slice(0, 40)}: ${status} ${text.slice(0, 300)}`);
    }
  }
  await assertRefused('{app=~"(a{1000}){1000}"}', /error parsing regexp: /);
});

test('a slow pattern for the long values of many streams is given up in words', async () => {
  const line = [`${nowNs()}`, 'x'] as const;
  const values = Array.from({ length: 100 }, (_, i) => `${'abcdefghij'.repeat(200)}${i % 10}${Math.trunc(i / 10)}`);
  await client.mustPush(values.map((long) => ({ stream: { app: 'long', long }, values: [line] })));
  // Selectors and label_replace are matched where requests are answered, for a second at most.
  const selector = await ask(`{app="long", long=~"(?:[a-z]{0,999}[a-j]{0,999}[a-k]{0,999}){1}"}`);
  assert.equal(selector.status, 400);
  assert.match(selector.text, /^regular expression takes longer than \d+ ms/);
  const replace = `label_replace(count_over_time({app="long"}[1h]), "x", "$1", "long", "([a-z]{0,999}[a-j]{0,999}[a-k]{0,999}){1}")`;
  const replaced = await ask(replace, '/loki/api/v1/query');
  assert.deepEqual([replaced.status, replaced.text.slice(0, 31)], [400, selector.text.slice(0, 31)]);
  await assertAnswered('{long=~".*99"}');
});

test('a query that one pattern holds up for too long ends with its time, and the next ones are answered', async () => {
  const { status, text } = await ask(`{app="bad"} |~ ${JSON.stringify(SLOW)}`);
  assert.ok(
    status === 200 || (status === 504 && text.startsWith('request timed out')),
    `${status} ${text.slice(0, 300)}`,
  );
  // A worker that is still at it is replaced.
  await until(
    'an answer',
    async () => (await client.post(PATH, { query: '{app="bad"} |= "k=v"' })).status === 200,
    60_000,
  );
});
