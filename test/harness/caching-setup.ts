/** A store with a compactor and deletes, a querier over it, and a frontend that keeps what the querier answers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { labelsKey } from '../../logql/labels.ts';
import { compileMatchers } from '../../logql/stages/index.ts';
import { flush, type Setup, startOver, TestClock } from '../../services/compactor/testing/setup.ts';
import { defaultLimits, type Limits } from '../../services/config/limits.ts';
import { Frontend } from '../../services/frontend/frontend.ts';
import { frontendMetrics } from '../../services/frontend/metrics.ts';
import { querierOver } from '../../services/frontend/testing/cluster.ts';
import { onlyIngester } from '../../services/querier/ingester-set.ts';
import type { RangeParams } from '../../services/querier/params.ts';
import type { PartRunner } from '../../services/querier/parts.ts';
import { renderAnswer } from '../../services/querier/query-response.ts';
import { ingesterOf } from '../../services/rpc/testing/ingester-of.ts';
import { headOf, type TestRow } from '../../storage/block/testing/heads.ts';
import type { Cache } from '../../storage/cache/index.ts';
import { silentLogger } from '../../storage/host/logger.ts';
import { FilesystemStore } from '../../storage/objectstore/index.ts';
import { WorkerPool } from '../../storage/scan/worker-pool.ts';

export const TENANT = 'team-a';

/** A stream's rows that an ingester holds. */
export interface HeldRows {
  readonly labels: Record<string, string>;
  readonly rows: readonly TestRow[];
}

export class CachingSetup {
  readonly clock = new TestClock();
  readonly #directory = mkdtempSync(join(tmpdir(), 'loptr-caching-'));
  readonly store = new FilesystemStore({ kind: 'filesystem', directory: this.#directory });
  readonly #pool = new WorkerPool({
    size: 1,
    settings: { objectStore: { kind: 'filesystem', directory: this.#directory } },
    logger: silentLogger,
  });
  /** What ingesters hold now. */
  held: readonly HeldRows[] = [];
  limits: Partial<Limits> = {};
  /** Parts that the querier was asked for since `asked` was last emptied. */
  asked: ('log' | 'metric')[] = [];
  readonly registry = new Registry();
  #setup: Setup | undefined;
  #front: Frontend | undefined;
  #direct: ReturnType<typeof querierOver> | undefined;

  get setup(): Setup {
    return this.#setup!;
  }

  async start(cache: Cache): Promise<void> {
    const limits = { for: (): Limits => ({ ...defaultLimits, ...this.limits }) };
    this.#setup = await startOver(this.store, this.clock, {
      limits: this.limits,
      config: { retentionEnabled: true, cancelPeriodMs: 0 },
    });
    const { catalog, requests } = this.#setup;
    const ingester = ingesterOf(async ({ matchers, startNs, endNs }) => {
      const matches = compileMatchers(matchers);
      const streams = this.held.map(({ labels, rows }) => ({ labels: Object.entries(labels).sort(), rows }));
      return streams
        .filter(({ labels, rows }) => matches(labels) && rows.some(({ ns }) => ns >= startNs && ns <= endNs))
        .map(({ labels, rows }) => ({ labels, blocks: [], heads: [headOf(rows)] }))
        .sort((a, b) => (labelsKey(a.labels) < labelsKey(b.labels) ? -1 : 1));
    });
    const sources = { catalog, recent: onlyIngester(ingester, this.clock), deletes: requests };
    this.#direct = querierOver(sources, this.#pool, limits, this.clock);
    this.#front = this.#frontend(this.#direct.parts, cache, limits);
  }

  async stop(): Promise<void> {
    await this.#pool.stop();
    rmSync(this.#directory, { recursive: true });
  }

  /** Rows become a segment that queries see. */
  async flush(labels: Record<string, string>, rows: readonly TestRow[]): Promise<void> {
    this.setup.catalog.add(await flush(this.store, this.clock, [[labels, rows]], TENANT));
  }

  /** The answers of the querier and of the frontend, without what they cost, and how many parts the frontend asked for. */
  async ask(params: RangeParams): Promise<{ direct: string; kept: string; asked: number }> {
    const context = {
      tenants: { ids: [TENANT], federated: false },
      signal: new AbortController().signal,
      partialSeries: false,
    };
    const text = (answer: Awaited<ReturnType<Frontend['range']>>) =>
      String(renderAnswer(answer, []).body).replace(/,"stats":\{.*$/s, '');
    const direct = text(await this.#direct!.querier.range(params, context));
    this.asked = [];
    const kept = text(await this.#front!.range(params, context));
    return { direct, kept, asked: this.asked.length };
  }

  #frontend(parts: PartRunner, cache: Cache, limits: { for(): Limits }): Frontend {
    const counted: PartRunner = {
      log: (part, asker) => {
        this.asked.push('log');
        return parts.log(part, asker);
      },
      metric: (part, asker) => {
        this.asked.push('metric');
        return parts.metric(part, asker);
      },
      bytes: (whole, asker) => parts.bytes(whole, asker),
      fingerprints: (request, asker) => parts.fingerprints(request, asker),
    };
    const frontend = new Frontend({
      parts: counted,
      metrics: frontendMetrics(this.registry, {
        inProgress: () => frontend.inProgress,
        queued: () => 0,
        streams: () => 0,
      }),
      limits,
      clock: this.clock,
      logger: silentLogger,
      registry: this.registry,
      cache,
    });
    return frontend;
  }
}
