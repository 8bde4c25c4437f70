import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../storage/host/logger.ts';
import { defaultLimits } from './limits.ts';
import { readOverrides, TenantLimits } from './tenant-limits.ts';

/** Sleeps end when the test says so. */
function steppedClock() {
  const waiting: (() => void)[] = [];
  return {
    waiting,
    clock: {
      nowMs: () => 0,
      nowNs: () => 0n,
      sleep: (_ms: number, signal?: AbortSignal) =>
        new Promise<void>((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
          waiting.push(resolve);
        }),
    },
  };
}

const base = { ...defaultLimits, max_line_size: 1000 };

test('a tenant without overrides has the limits of everybody', () => {
  const overrides = readOverrides('overrides:\n  a:\n    max_line_size: 1KB\n', 'r.yaml', base);
  assert.equal(overrides.get('a')?.max_line_size, 1024);
  assert.equal(overrides.get('a')?.max_query_series, base.max_query_series);
  assert.equal(overrides.get('b'), undefined);
});

test('parts of shard_streams are overridden one by one, lists whole', () => {
  const yaml = 'overrides:\n  a: {shard_streams: {enabled: false}, log_level_fields: [lvl]}\n';
  const limits = readOverrides(yaml, 'r.yaml', base).get('a')!;
  assert.equal(limits.shard_streams.enabled, false);
  assert.equal(limits.shard_streams.desired_rate, base.shard_streams.desired_rate);
  assert.deepEqual(limits.log_level_fields, ['lvl']);
});

test('problems name the line of the file and the tenant', () => {
  const yaml = 'overrides:\n  a:\n    max_line_size: 1KB\n    nonsense: 1\n  b:\n    query_timeout: x\nmore: 1\n';
  assert.throws(
    () => readOverrides(yaml, 'r.yaml', base),
    (error: Error) => {
      assert.match(error.message, /r\.yaml:4: unknown key limits_config\.nonsense \(tenant a\)/);
      assert.match(error.message, /r\.yaml:6: limits_config\.query_timeout: .* \(tenant b\)/);
      assert.match(error.message, /unknown key more/);
      return true;
    },
  );
});

test('a changed file changes the limits, a broken one leaves the old ones', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'loptr-limits-'));
  const file = join(directory, 'runtime.yaml');
  await writeFile(file, 'overrides: {a: {max_line_size: 1}}');
  const { clock, waiting } = steppedClock();
  const limits = new TenantLimits({ base, files: [file], periodMs: 1000, clock, logger: silentLogger });
  try {
    await limits.start();
    assert.equal(limits.for('a').max_line_size, 1);
    const step = async () => {
      const count = waiting.length;
      waiting[count - 1]!();
      while (waiting.length === count) await new Promise((resolve) => setImmediate(resolve));
    };
    await writeFile(file, 'overrides: {a: {max_line_size: 2}}');
    await step();
    assert.equal(limits.for('a').max_line_size, 2);
    await writeFile(file, 'overrides: {a: {max_line_size: wrong}}');
    await step();
    assert.equal(limits.for('a').max_line_size, 2);
    assert.equal(limits.isHealthy, false);
    await writeFile(file, '');
    await step();
    assert.equal(limits.for('a').max_line_size, 1000);
    assert.equal(limits.isHealthy, true);
  } finally {
    await limits.stop();
    await rm(directory, { recursive: true });
  }
});
