import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseEvalScript, runEvalCase } from './testing/eval-script.ts';

const folder = new URL('./testdata/', import.meta.url);

for (const file of readdirSync(folder).filter((name) => name.endsWith('.txt'))) {
  describe(`testdata/${file}`, () => {
    for (const script of parseEvalScript(readFileSync(new URL(file, folder), 'utf8'))) {
      it(`line ${script.line}: ${script.query}`, () => {
        for (const partitions of [1, 3]) {
          assert.deepEqual(runEvalCase(script, partitions), script.expected);
        }
      });
    }
  });
}
