import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestServer } from '../harness/server.ts';

test("the README's commands push a line and find it again", async () => {
  const readme = readFileSync(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8');
  const script = [...readme.matchAll(/```bash\n([\s\S]*?)```/g)].map((match) => match[1]!).join('\n');
  const commands = script.split(/\n\n(?=curl )/);
  assert.equal(commands.length, 3);
  const cwd = mkdtempSync(join(tmpdir(), 'loptr-readme-'));
  const server = await TestServer.start({ cwd });
  try {
    const [push, range, instant] = commands.map((command) =>
      execFileSync('bash', ['-c', command.replaceAll('http://localhost:3100', server.url)], { encoding: 'utf8' }),
    );
    assert.equal(push, '');
    const { data } = JSON.parse(range!) as { data: { result: { stream: Record<string, string> }[] } };
    assert.equal(data.result.length, 1);
    assert.equal(data.result[0]!.stream['item'], '42');
    const sums = JSON.parse(instant!) as { data: { result: { metric: unknown; value: [number, string] }[] } };
    assert.deepEqual(
      sums.data.result.map(({ metric, value }) => [metric, value[1]]),
      [[{ level: 'error' }, '1']],
    );
  } finally {
    await server.stop();
    rmSync(cwd, { recursive: true, force: true });
  }
});
