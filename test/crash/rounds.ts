import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestServer } from '../harness/server.ts';
import { verifyRound } from './verify.ts';
import { type Batch, type Written, writeUntilKilled } from './writer.ts';

/**
 * Flushes all the time, so that kills land in every step between the log and the object store; and lets rows be of any
 * age, since a client that sends again does so behind others.
 */
const CONFIG = `
auth_enabled: false
ingester:
  chunk_block_size: 20000
  chunk_target_size: 10000
  chunk_idle_period: 300ms
  flush_check_period: 100ms
limits_config:
  max_entries_limit_per_query: 5000
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  shard_streams: {enabled: false}
  creation_grace_period: 3h
`;

export interface CrashOptions {
  readonly rounds: number;
  readonly seed: number;
  readonly clients: number;
  /** A round is killed after a random time up to this. */
  readonly maxRoundMs: number;
  readonly log: (text: string) => void;
}

/**
 * Round after round on one data directory: several clients push at full speed, the server is killed with SIGKILL at a
 * random moment and started again, clients send again what was not answered. Every acknowledged line must be there
 * once, and no line twice. Throws when one is not.
 */
export async function crashRounds({ rounds, seed, clients, maxRoundMs, log }: CrashOptions): Promise<void> {
  const random = generator(seed);
  const cwd = await mkdtemp(join(tmpdir(), 'crash-'));
  await writeFile(join(cwd, 'loptr.yaml'), CONFIG);
  const baseNs = BigInt(Date.now()) * 1_000_000n;
  const acknowledged = new Map<number, Batch[]>();
  let open: Batch[] = [];
  const options = { cwd, args: ['-config.file=loptr.yaml'] };
  let server = await TestServer.start(options);
  const { ports } = server;
  try {
    for (let round = 0; round < rounds; round++) {
      const lifeMs = 20 + random() * maxRoundMs;
      const writers = Array.from({ length: clients }, (_, client) =>
        writeUntilKilled({
          url: server.url,
          round,
          client,
          baseNs,
          random,
          resend: open.filter((batch) => batch.client === client),
        }),
      );
      const killed = new Promise<void>((resolve) => {
        setTimeout(() => {
          server.kill('SIGKILL');
          resolve();
        }, lifeMs);
      });
      const written: Written[] = await Promise.all(writers);
      await killed;
      await server.exited;
      open = written.flatMap((result) => result.open);
      for (const batch of written.flatMap((result) => result.acknowledged)) {
        acknowledged.set(batch.round, [...(acknowledged.get(batch.round) ?? []), batch]);
      }
      server = await TestServer.start({ ...options, ports });
      // The round before too: its last pushes were sent again in this one.
      if (round > 0) await verify(round - 1);
      log(`round ${round}: killed after ${Math.round(lifeMs)} ms, ${await verify(round)} lines`);
    }
    let total = 0;
    for (let round = 0; round < rounds; round++) total += await verify(round);
    log(`${rounds} rounds, ${total} lines, every acknowledged one there once`);
    await server.stop();
    server = await TestServer.start({ ...options, ports });
    for (let round = 0; round < rounds; round++) await verify(round);
    await server.stop();
  } catch (error: unknown) {
    server.kill('SIGKILL');
    throw new Error(`seed ${seed}, data in ${cwd}`, { cause: error });
  }
  await rm(cwd, { recursive: true });

  function verify(round: number): Promise<number> {
    return verifyRound(server.url, baseNs, round, { acknowledged: acknowledged.get(round) ?? [], open });
  }
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
