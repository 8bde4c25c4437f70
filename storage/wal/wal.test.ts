import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../host/clock.ts';
import { silentLogger } from '../host/logger.ts';
import { nodeFiles, type WalFile, type WalFiles } from './files.ts';
import { segmentName } from './format.ts';
import { Wal, WalLockedError, type WalOptions, WalUnavailableError } from './index.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wal-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const open = (options: Partial<WalOptions> = {}): Promise<Wal> =>
  Wal.open({ directory, clock: systemClock, logger: silentLogger, retryMs: 1, ...options });

async function started(options: Partial<WalOptions> = {}): Promise<Wal> {
  const wal = await open(options);
  await wal.replay(() => {});
  wal.start();
  return wal;
}

async function contents(options: Partial<WalOptions> = {}) {
  const wal = await open(options);
  const records: { sequence: number; type: number; text: string }[] = [];
  const result = await wal.replay((r) => {
    records.push({ sequence: r.sequence, type: r.type, text: r.payload.toString() });
  });
  wal.start();
  await wal.close();
  return { records, texts: records.map((r) => r.text), corruptions: result.corruptions };
}

async function fill(texts: readonly string[]): Promise<void> {
  const wal = await started();
  for (const text of texts) await wal.append(1, Buffer.from(text)).written;
  await wal.close();
}

/** Fails the calls that `fail` picks, as a full or broken disk does. */
function faulty(
  fail: (operation: 'writev' | 'sync' | 'truncate' | 'create') => Error | 'short' | null,
  log: number[] = [],
) {
  const check = (operation: 'writev' | 'sync' | 'truncate' | 'create') => {
    const fault = fail(operation);
    if (fault instanceof Error) throw fault;
    return fault;
  };
  const wrap = (file: WalFile): WalFile => ({
    ...file,
    writev: async (buffers, position) => {
      log.push(buffers.length);
      if (check('writev') === 'short') return file.writev([buffers[0]!.subarray(0, 5)], position);
      return file.writev(buffers, position);
    },
    sync: async () => {
      check('sync');
      await file.sync();
    },
    truncate: async (length) => {
      check('truncate');
      await file.truncate(length);
    },
  });
  return {
    ...nodeFiles,
    create: async (path) => {
      check('create');
      return wrap(await nodeFiles.create(path));
    },
    open: async (path) => wrap(await nodeFiles.open(path)),
  } satisfies WalFiles;
}

const enospc = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

async function untilWritable(wal: Wal): Promise<void> {
  for (let i = 0; i < 5000; i++) {
    try {
      wal.assertWritable(1);
      return;
    } catch {
      await systemClock.sleep(1);
    }
  }
  assert.fail('the log did not become writable');
}

describe('write-ahead log', () => {
  it('gives back what was written, in order, with ascending sequences across restarts', async () => {
    await fill(['a', 'bb', '']);
    await fill(['ccc']);
    const { records, corruptions } = await contents();
    assert.deepEqual(
      records.map((r) => [r.sequence, r.type, r.text]),
      [
        [1, 1, 'a'],
        [2, 1, 'bb'],
        [3, 1, ''],
        [4, 1, 'ccc'],
      ],
    );
    assert.deepEqual(corruptions, []);
  });

  it('reads a log that was cut at any byte up to the last whole record, and reports the rest once', async () => {
    const texts = ['first', 'second record', 'x'.repeat(50), 'last'];
    await fill(texts);
    const path = join(directory, segmentName(1));
    const whole = await readFile(path);
    const ends = [32];
    for (const text of texts) ends.push(ends.at(-1)! + 24 + Math.ceil(text.length / 8) * 8);
    assert.equal(ends.at(-1), whole.length);
    for (let cut = 0; cut <= whole.length; cut++) {
      await rm(directory, { recursive: true });
      await nodeFiles.makeDirectory(directory);
      await writeFile(path, whole.subarray(0, cut));
      const kept = ends.filter((end) => end <= cut).length - 1;
      const first = await contents();
      assert.deepEqual(first.texts, texts.slice(0, Math.max(kept, 0)), `cut at ${cut}`);
      const good = kept < 0 ? 0 : ends[kept]!;
      assert.deepEqual(
        first.corruptions,
        cut === good ? [] : [{ segmentId: 1, offset: good, lostBytes: cut - good }],
        `cut at ${cut}`,
      );
      assert.deepEqual((await contents()).corruptions, [], `cut at ${cut}, second start`);
    }
  });

  it('never hands out a record with a flipped bit, and goes on with the next segment', async () => {
    await fill(['one', 'two', 'three']);
    await fill(['four']);
    const path = join(directory, segmentName(1));
    const whole = await readFile(path);
    for (let bit = 0; bit < whole.length * 8; bit += 3) {
      const damaged = Buffer.from(whole);
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      await writeFile(path, damaged);
      const { texts, corruptions } = await contents();
      assert.equal(texts.at(-1), 'four', `bit ${bit}`);
      // The padding after a payload is the one thing that nothing depends on.
      const kept = texts.slice(0, -1);
      assert.deepEqual(kept, ['one', 'two', 'three'].slice(0, kept.length), `bit ${bit}`);
      assert.equal(corruptions.length, kept.length === 3 ? 0 : 1, `bit ${bit}`);
    }
  });

  it('appends behind a damaged place only in a segment of its own', async () => {
    await fill(['one', 'two']);
    const path = join(directory, segmentName(1));
    const { size } = await stat(path);
    await writeFile(path, (await readFile(path)).subarray(0, size - 3));
    await fill(['three']);
    assert.deepEqual((await contents()).texts, ['one', 'three']);
    assert.equal((await stat(join(directory, segmentName(2)))).isFile(), true);
  });

  it('writes what queued during a write in one call', async () => {
    const calls: number[] = [];
    const wal = await started({ files: faulty(() => null, calls) });
    await wal.append(1, Buffer.from('first   ')).written;
    calls.length = 0;
    await Promise.all(Array.from({ length: 50 }, (_, i) => wal.append(1, Buffer.from(`record ${i % 10}`)).written));
    assert.deepEqual(calls, [100]); // header and payload of each
    await wal.close();
  });

  it('finishes a write that the system took only in part', async () => {
    let short = 0;
    const wal = await started({ files: faulty((o) => (o === 'writev' && short++ % 3 === 0 ? 'short' : null)) });
    await Promise.all(['alpha', 'beta', 'gamma'].map((t) => wal.append(1, Buffer.from(t)).written));
    await wal.close();
    assert.deepEqual((await contents()).texts, ['alpha', 'beta', 'gamma']);
  });

  it('refuses pushes while the disk is full, loses nothing acknowledged, and works again', async () => {
    let full = false;
    let torn = false;
    const wal = await started({
      files: faulty((operation) => {
        if (!full || operation === 'truncate') return null;
        if (operation === 'writev' && !torn) {
          torn = true;
          return 'short';
        }
        return enospc();
      }),
    });
    await wal.append(1, Buffer.from('before')).written;
    full = true;
    const refused = [wal.append(1, Buffer.from('lost')), wal.append(1, Buffer.from('lost too'))];
    for (const result of await Promise.allSettled(refused.map((r) => r.written))) {
      assert.equal(result.status, 'rejected');
      assert.ok(result.reason instanceof WalUnavailableError);
      assert.equal(result.reason.retryable, true);
    }
    assert.throws(() => wal.append(1, Buffer.from('refused at once')), WalUnavailableError);
    full = false;
    await untilWritable(wal);
    await wal.append(1, Buffer.from('after')).written;
    await wal.close();
    const { texts, corruptions } = await contents();
    assert.deepEqual(texts, ['before', 'after']);
    assert.deepEqual(corruptions, []);
  });

  it('begins a new segment when a torn one cannot be cut back', async () => {
    let broken = 0;
    const wal = await started({
      files: faulty((operation) => {
        if (broken > 0 && operation === 'writev') return --broken === 1 ? 'short' : enospc();
        return broken > 0 && operation === 'truncate' ? enospc() : null;
      }),
    });
    await wal.append(1, Buffer.from('before')).written;
    broken = 3;
    await assert.rejects(wal.append(1, Buffer.from('lost')).written, WalUnavailableError);
    broken = 0;
    await untilWritable(wal);
    await wal.append(1, Buffer.from('after')).written;
    await wal.close();
    assert.deepEqual((await contents()).texts, ['before', 'after']);
  });

  it('trusts nothing that a failed sync may have dropped', async () => {
    let failing = false;
    const wal = await started({
      fsync: true,
      files: faulty((o) => (failing && o === 'sync' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : null)),
    });
    await wal.append(1, Buffer.from('before')).written;
    failing = true;
    await assert.rejects(wal.append(1, Buffer.from('lost')).written, WalUnavailableError);
    failing = false;
    await untilWritable(wal);
    const before = wal.segmentId;
    assert.ok(before >= 2);
    await wal.append(1, Buffer.from('after')).written;
    await wal.close();
    assert.deepEqual((await contents()).texts, ['before', 'after']);
  });

  it('refuses what would queue without bound', async () => {
    const wal = await started({ maxQueuedBytes: 100 });
    const first = wal.append(1, Buffer.alloc(1000)); // alone it may be of any size
    assert.throws(() => wal.append(1, Buffer.alloc(10)), WalUnavailableError);
    await first.written;
    await wal.append(1, Buffer.alloc(10)).written;
    await wal.close();
  });

  it('begins a new segment at the size bound and removes old ones', async () => {
    const wal = await started({ segmentBytes: 200 });
    for (let i = 0; i < 20; i++) await wal.append(1, Buffer.from(`record ${i}`)).written;
    const last = wal.segmentId;
    assert.ok(last >= 4);
    await wal.truncateBefore(last);
    assert.equal(wal.oldestSegmentId, last);
    await wal.close();
    const { records } = await contents();
    assert.ok(records.length >= 1 && records.length <= 8);
    assert.equal(records.at(-1)!.text, 'record 19');
    const again = await open();
    await again.replay(() => {});
    again.start();
    await again.truncateBefore(Number.POSITIVE_INFINITY);
    await again.close({ removeAll: true });
    assert.deepEqual(
      (await nodeFiles.list(directory)).filter((name) => name.endsWith('.wal')),
      [],
    );
  });

  it('can be emptied when its only segment is what fills the disk', async () => {
    let room = 300;
    const limited: WalFiles = {
      ...nodeFiles,
      create: async (path) => {
        const file = await nodeFiles.create(path);
        return {
          ...file,
          writev: (buffers, position) => {
            const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
            return position + bytes > room ? Promise.reject(enospc()) : file.writev(buffers, position);
          },
        };
      },
      remove: async (path) => {
        await nodeFiles.remove(path);
        room = 1 << 20;
      },
    };
    const wal = await started({ files: limited });
    await wal.append(1, Buffer.alloc(100)).written;
    await assert.rejects(wal.append(1, Buffer.alloc(400)).written, WalUnavailableError);
    assert.equal(wal.isFailing, true);
    // Which was written last is known once the file was cut back; by then there may be another one, of an attempt.
    while (wal.segmentId === wal.oldestSegmentId) await systemClock.sleep(1);
    const [first] = (await nodeFiles.list(directory)).filter((name) => name.endsWith('.wal')).sort();
    await wal.truncateBefore(wal.segmentId);
    await untilWritable(wal);
    assert.equal(wal.isFailing, false);
    await wal.append(1, Buffer.from('after')).written;
    assert.ok(!(await nodeFiles.list(directory)).includes(first!));
    await wal.close();
    assert.deepEqual((await contents()).texts, ['after']);
  });

  it('names the segment that is being begun for what is appended meanwhile, and keeps it', async () => {
    const begun = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const slow: WalFiles = {
      ...nodeFiles,
      create: async (path) => {
        const file = await nodeFiles.create(path);
        begun.resolve();
        await gate.promise;
        return file;
      },
    };
    const wal = await started({ files: slow });
    const first = wal.append(1, Buffer.from('first'));
    await begun.promise;
    const second = wal.append(1, Buffer.from('second'));
    assert.equal(second.segmentId, first.segmentId);
    gate.resolve();
    await Promise.all([first.written, second.written]);
    assert.equal(wal.segmentId, first.segmentId);
    await wal.truncateBefore(second.segmentId);
    await wal.close();
    assert.deepEqual((await contents()).texts, ['first', 'second']);
  });

  it('goes on in a new directory when its own was removed, and drops segments that are gone', async () => {
    const wal = await started({ segmentBytes: 64 });
    for (const text of ['a', 'b']) await wal.append(1, Buffer.alloc(64, text)).written;
    await rm(directory, { recursive: true });
    await wal.append(1, Buffer.from('c')).written;
    await wal.truncateBefore(wal.segmentId);
    assert.equal(wal.oldestSegmentId, wal.segmentId);
    await wal.close();
    assert.deepEqual((await contents()).texts, ['c']);
  });

  it('reads records longer than its window with an aligned payload', async () => {
    const wal = await started();
    const big = Buffer.alloc((3 << 20) + 5, 7);
    await Promise.all([Buffer.from('small'), big, Buffer.from('tail')].map((p) => wal.append(2, p).written));
    await wal.close();
    const reader = await open();
    const lengths: number[] = [];
    await reader.replay(({ payload }) => {
      assert.equal(payload.byteOffset % 8, 0);
      lengths.push(payload.length);
    });
    assert.deepEqual(lengths, [5, big.length, 4]);
    await reader.close();
  });
});

describe('directory lock', () => {
  it('keeps a second log out of the same directory', async () => {
    const wal = await started();
    await assert.rejects(open(), WalLockedError);
    await wal.close();
    await (await started()).close();
  });

  it('takes over what a killed process left, also when its pid is in use again', async () => {
    for (const content of ['', 'garbage', '999999999 x y\n', `${process.pid} some-other-boot 12345\n`]) {
      await writeFile(join(directory, 'lock'), content);
      await (await started()).close();
      assert.equal(
        (await nodeFiles.list(directory)).some((name) => name.startsWith('lock')),
        false,
      );
    }
  });
});
