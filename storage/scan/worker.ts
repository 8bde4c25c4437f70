/** The entry of a worker thread: encodes blocks, scans them, and merges segments. Jobs run one after the other. */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import {
  evaluatePlan,
  type LogPartial,
  logTransferables,
  mergePartials,
  transferablesOf,
} from '../../logql/aggregate/index.ts';
import { encodeBlocks, ReusedMemory } from '../block/index.ts';
import type { EncodedBlock } from '../block/types.ts';
import { findOverlaps, mergeSegments } from '../compaction/index.ts';
import { createObjectStore, type ObjectStore } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { LogScan } from './log-scan.ts';
import { measureUnits } from './measure-scan.ts';
import {
  type CloseRequest,
  type EncodeRequest,
  type EvaluateMetricRequest,
  type FinishMetricRequest,
  type LogScanResult,
  type MeasureRequest,
  type MetricEvaluationResult,
  type MetricFinishResult,
  type MetricScanResult,
  ScanCancelledError,
  type ScanLogRequest,
  type ScanMetricRequest,
  type WorkerMessage,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSettings,
} from './messages.ts';
import { MetricScan } from './metric-scan.ts';
import { newScanStats } from './scan-stats.ts';

/** Half of the main thread's share where both want a core, and all that it leaves. */
const WORKER_NICENESS = 3;

interface Done {
  readonly value: unknown;
  readonly transfer?: ArrayBuffer[];
}

/** What is added up for a session. */
interface SessionScans {
  /** Of the plan, each by tenant. */
  readonly scans: readonly Map<string | null, MetricScan>[];
  /** Done. */
  jobs: number;
}

class ScanWorker {
  readonly #store: ObjectStore;
  readonly #source: BlockSource;
  readonly #logScans = new Map<number, Map<string | null, LogScan>>();
  readonly #metricScans = new Map<number, SessionScans>();

  constructor(store: ObjectStore) {
    this.#store = store;
    this.#source = new BlockSource(store);
  }

  /** Forgets a session at once: its remaining jobs, if any, find it cancelled. */
  close(request: CloseRequest): void {
    this.#logScans.delete(request.session);
    this.#metricScans.delete(request.session);
  }

  async run(request: Exclude<WorkerRequest, CloseRequest>): Promise<Done> {
    switch (request.kind) {
      case 'encode':
        return encodeHeads(request);
      case 'compact':
        return { value: await mergeSegments(this.#store, request.merge) };
      case 'find_overlaps':
        return { value: await findOverlaps(this.#store, request.search) };
      case 'scan_log':
        return this.#scanLog(request);
      case 'scan_metric':
        return this.#scanMetric(request);
      case 'finish_metric':
        return this.#finishMetric(request);
      case 'evaluate_metric':
        return evaluateMetric(request);
      case 'measure':
        return this.#measure(request);
      default:
        return request satisfies never;
    }
  }

  async #scanLog(request: ScanLogRequest): Promise<Done> {
    refuseCancelled(request.cancel);
    let scans = this.#logScans.get(request.session);
    if (!scans) {
      scans = new Map();
      this.#logScans.set(request.session, scans);
    }
    const stats = newScanStats();
    const partials: LogPartial[] = [];
    for (const [tenant, units] of Map.groupBy(request.units, (unit) => unit.tenant)) {
      let scan = scans.get(tenant);
      if (!scan) {
        scan = new LogScan(request.plan, tenant);
        scans.set(tenant, scan);
      }
      partials.push(await scan.run(units, request.beyondNs, this.#source, request.cancel, stats));
    }
    return { value: { partials, stats } satisfies LogScanResult, transfer: partials.flatMap(logTransferables) };
  }

  async #scanMetric(request: ScanMetricRequest): Promise<Done> {
    refuseCancelled(request.cancel);
    let added = this.#metricScans.get(request.session);
    if (!added) {
      added = { scans: request.scans.map(() => new Map()), jobs: 0 };
      this.#metricScans.set(request.session, added);
    }
    const { scans } = added;
    const stats = newScanStats();
    for (const { scan, units } of request.parts) {
      for (const unit of units) {
        let one = scans[scan]!.get(unit.tenant);
        if (!one) {
          one = new MetricScan(request.scans[scan]!, unit.tenant, request.maxSeries);
          scans[scan]!.set(unit.tenant, one);
        }
        await one.add(unit, this.#source, request.cancel, stats);
      }
    }
    added.jobs++;
    return { value: { stats } satisfies MetricScanResult };
  }

  #finishMetric(request: FinishMetricRequest): Done {
    const { scans, jobs } = this.#metricScans.get(request.session) ?? { scans: [], jobs: 0 };
    this.#metricScans.delete(request.session);
    const partials = scans.map((byTenant) => [...byTenant.values()].map((scan) => scan.partial()));
    const transfer = partials.flat().flatMap(transferablesOf);
    return { value: { partials, jobs } satisfies MetricFinishResult, transfer };
  }

  async #measure({ units, buckets, cancel }: MeasureRequest): Promise<Done> {
    refuseCancelled(cancel);
    const value = await measureUnits(units, buckets, this.#source, cancel);
    const transfer = [value.units, value.buckets, value.rows, value.bytes].map((array) => array.buffer as ArrayBuffer);
    return { value, transfer };
  }
}

/** What is encoded is moved: in one piece where there are many heads, since each piece costs as much as a small block. */
function encodeHeads({ heads, limits }: EncodeRequest): Done {
  const value = heads.map((head) => {
    encodeMemory.reset();
    return encodeBlocks(head, limits, encodeMemory);
  });
  const blocks = value.flat();
  if (heads.length === 1) {
    return { value, transfer: blocks.flatMap(({ bytes, filter }) => [bytes.buffer, filter.buffer] as ArrayBuffer[]) };
  }
  const memory = new Uint8Array(blocks.reduce((sum, { bytes, filter }) => sum + bytes.length + filter.length, 0));
  let end = 0;
  const moved = (from: Uint8Array): Uint8Array => {
    memory.set(from, end);
    end += from.length;
    return memory.subarray(end - from.length, end);
  };
  const together = value.map((own) =>
    own.map(({ bytes, stats, filter }): EncodedBlock => ({ bytes: moved(bytes), stats, filter: moved(filter) })),
  );
  return { value: together, transfer: [memory.buffer] };
}

function evaluateMetric({ plan, partials, maxSeries }: EvaluateMetricRequest): Done {
  const matrices = plan.scans.map((scan, i) => mergePartials(scan, partials[i]!));
  const result = evaluatePlan(plan, matrices, maxSeries);
  const buffers = new Set<ArrayBuffer>(); // series may share one, and none may be moved twice
  if (result.kind !== 'scalar') {
    buffers.add(result.matrix.timesMs.buffer as ArrayBuffer);
    for (const { values, present } of result.matrix.series) {
      buffers.add(values.buffer as ArrayBuffer).add(present.buffer as ArrayBuffer);
    }
  }
  return { value: { result } satisfies MetricEvaluationResult, transfer: [...buffers] };
}

function refuseCancelled(cancel: Int32Array): void {
  if (Atomics.load(cancel, 0) !== 0) throw new ScanCancelledError('the query was given up');
}

function codeOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'internal';
}

/** For the columns of heads. */
const encodeMemory = new ReusedMemory();

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');
// Where all cores are busy the main thread, which answers pushes and /ready, goes first. Linux takes 0 for the thread that
// asks, other systems for the whole process.
if (process.platform === 'linux') setPriority(0, Math.min(19, getPriority(0) + WORKER_NICENESS));
const { objectStore } = workerData as WorkerSettings;
const worker = new ScanWorker(await createObjectStore(objectStore));
let last: Promise<void> = Promise.resolve();

port.on('message', ({ id, request }: WorkerMessage) => {
  if (request.kind === 'close') {
    worker.close(request);
    return;
  }
  last = last.then(async () => {
    let reply: WorkerReply;
    let transfer: ArrayBuffer[] = [];
    try {
      const done = await worker.run(request);
      reply = { id, value: done.value };
      transfer = done.transfer ?? [];
    } catch (error: unknown) {
      reply = { id, error: { code: codeOf(error), message: error instanceof Error ? error.message : String(error) } };
    }
    port.postMessage(reply, transfer);
  });
});
