import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../storage/host/clock.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { WatchedFiles } from './watched-files.ts';

const folder = await mkdtemp(join(tmpdir(), 'loptr-watched-'));
after(() => rm(folder, { recursive: true }));

test('a value follows its files, and a wrong file leaves it', async () => {
  const file = join(folder, 'number');
  const changes: number[] = [];
  const options = {
    files: [file],
    read: ([content]: readonly Buffer[]) => {
      const value = Number(content!.toString());
      if (Number.isNaN(value)) throw new Error(`${file}: not a number`);
      return value;
    },
    onChange: (value: number) => void changes.push(value),
    periodMs: 3_600_000,
    clock: systemClock,
    logger: silentLogger,
  };
  await assert.rejects(WatchedFiles.start(options), /ENOENT.*number/);
  await writeFile(file, 'x');
  await assert.rejects(WatchedFiles.start(options), /not a number/);
  await writeFile(file, '1');
  const watched = await WatchedFiles.start(options);
  assert.equal(watched.value, 1);
  await watched.reload();
  await writeFile(file, '2');
  await watched.reload();
  await writeFile(file, 'x');
  await assert.rejects(watched.reload(), /not a number/);
  await rm(file);
  await assert.rejects(watched.reload(), /ENOENT/);
  assert.equal(watched.value, 2);
  assert.deepEqual(changes, [2]);
  await watched.stop();
});
