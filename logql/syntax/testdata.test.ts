import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatQuery, ParseError, parseQuery, printExpr } from './index.ts';

/**
 * Each file holds cases with an empty line between them: a query, a line `----`, and what becomes of it: the query as
 * printed, or the error. Files whose name starts with `pretty` show the layout of `format_query` instead. With
 * `REWRITE=1` in the environment the outcomes are written anew; the difference is then to be reviewed.
 */
const directory = new URL('./testdata/', import.meta.url);

function outcome(query: string, print: typeof printExpr): string {
  try {
    return print(parseQuery(query));
  } catch (error: unknown) {
    if (error instanceof ParseError) return error.message.trimEnd();
    throw error;
  }
}

for (const file of readdirSync(directory).sort()) {
  const url = new URL(file, directory);
  const print = file.startsWith('pretty') ? formatQuery : printExpr;
  const cases = readFileSync(url, 'utf8').trimEnd().split('\n\n');
  if (process.env['REWRITE']) {
    const anew = cases.map((one) => one.split('\n----')[0]!).map((query) => `${query}\n----\n${outcome(query, print)}`);
    writeFileSync(url, `${anew.join('\n\n')}\n`);
  }
  test(`queries of ${file} print, or fail, as written there`, () => {
    const written = readFileSync(url, 'utf8').trimEnd().split('\n\n');
    assert.ok(written.length > 5);
    for (const one of written) {
      const [query, expected] = one.split('\n----\n') as [string, string];
      assert.equal(outcome(query, print), expected, query);
    }
  });
}
