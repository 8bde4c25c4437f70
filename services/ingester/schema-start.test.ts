import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Matcher } from '../../logql/syntax/ast.ts';
import { Ingester } from './index.ts';
import {
  ALL_TIME,
  batchOf,
  FakeClock,
  ingesterOptions,
  MemorySink,
  rowsOfRecent,
  type TestRow,
  type TestStream,
} from './testdata/fixture.ts';

const FROM_MS = Date.parse('2020-10-24');
const FROM_NS = BigInt(FROM_MS) * 1_000_000n;
const ANY: Matcher[] = [{ kind: 'matcher', name: 'app', op: '=~', value: '.+' }];
const stream = (app: string, ...rows: TestRow[]): TestStream => ({ labels: `{app="${app}"}`, rows });

async function withIngester(schemaFromMs: number | null, run: (ingester: Ingester) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ingester-schema-'));
  const ingester = new Ingester(
    ingesterOptions(directory, new MemorySink(), new FakeClock(), { options: { schemaFromMs } }),
  );
  await ingester.start();
  try {
    await run(ingester);
  } finally {
    await ingester.stop(0);
    await rm(directory, { recursive: true });
  }
}

const rows = async (ingester: Ingester): Promise<string[]> =>
  rowsOfRecent(await ingester.recent({ tenant: 't', matchers: ANY, ...ALL_TIME }));

const refused = (time: string): { status: number; message: string } => ({
  status: 500,
  message: `rpc error: code = Unknown desc = failed to create stream: no schema config found for time ${time}`,
});

describe('the start of a configured schema', () => {
  it('keeps out new streams with an older row, and names the oldest', () =>
    withIngester(FROM_MS, async (ingester) => {
      const cases: [TestRow[], string][] = [
        [[[0n, 'x']], '0'],
        [[[-1n, 'x']], '0'],
        [[[-6795364578871345152n, 'x']], '-6795364578.871'],
        [
          [
            [FROM_NS, 'x'],
            [FROM_NS - 1_500_000n, 'y'],
          ],
          '1603497599.998',
        ],
      ];
      for (const [list, time] of cases) {
        await assert.rejects(ingester.push(batchOf('t', stream('a', ...list))), refused(time));
      }
      assert.deepEqual(await rows(ingester), []);
    }));

  it('counts the parts of one stream in a push together', () =>
    withIngester(FROM_MS, async (ingester) => {
      const parts = [stream('a', [FROM_NS, 'now']), stream('b', [FROM_NS, 'other']), stream('a', [0n, 'then'])];
      await assert.rejects(ingester.push(batchOf('t', ...parts)), refused('0'));
      assert.deepEqual(await rows(ingester), [`{app="b"} ${FROM_NS} other`]);
    }));

  it('does not matter to a stream that is there, nor to one that begins at it', () =>
    withIngester(FROM_MS, async (ingester) => {
      await ingester.push(batchOf('t', stream('a', [FROM_NS, 'first'])));
      await ingester.push(batchOf('t', stream('a', [FROM_NS - 1_000_000_000n, 'late'])));
      assert.equal((await rows(ingester)).length, 2);
    }));

  it('matters only where a schema is configured', () =>
    withIngester(null, async (ingester) => {
      await ingester.push(batchOf('t', stream('a', [0n, 'x'])));
      assert.deepEqual(await rows(ingester), ['{app="a"} 0 x']);
    }));
});
