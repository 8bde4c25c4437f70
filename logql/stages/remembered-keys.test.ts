import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NeededLabels } from './needed-labels.ts';
import { JsonStage } from './parse-json.ts';
import { LogfmtStage } from './parse-logfmt.ts';
import { Row, type RowStage } from './row.ts';
import { blockOf } from './testing/block-of.ts';

/** Values of `a` in lines each of which has a key of its own beside it, and how many names the row knows in the end. */
function run(stage: RowStage, lines: readonly string[]): [values: Set<string | undefined>, names: number] {
  const row = new Row();
  row.open(blockOf(lines), []);
  const values = new Set<string | undefined>();
  lines.forEach((line, i) => {
    row.begin(i, line, 0, line.length);
    stage.run(row);
    values.add(row.get(row.id('a')));
  });
  return [values, row.names.length];
}

test('keys that nobody asks for take no place among the names, and new ones are read however many there were', () => {
  const keys = Array.from({ length: 25_000 }, (_, i) => `key-${i}`);
  const needed = NeededLabels.of(['a']);
  const json = run(
    new JsonStage(needed),
    keys.map((key) => `{"${key}":"x","o":{"${key}":1},"a":"1"}`),
  );
  const logfmt = run(
    new LogfmtStage({ kind: 'logfmt', strict: false, keepEmpty: false, extractions: [] }, needed),
    keys.map((key) => `${key}=x a=1`),
  );
  for (const [values, names] of [json, logfmt]) {
    assert.deepEqual([...values], ['1']);
    assert.ok(names < 10, `${names}`);
  }
});
