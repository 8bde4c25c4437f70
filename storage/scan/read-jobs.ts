import { evaluatePartials, type LogPartial, logTransferables, transferablesOf } from '../../logql/aggregate/index.ts';
import { findOverlaps, mergeSegments } from '../compaction/index.ts';
import type { ObjectStore } from '../objectstore/index.ts';
import { BlockSource } from './block-source.ts';
import { FirstOfKind } from './first-of-kind.ts';
import { LogScan } from './log-scan.ts';
import { measureUnits } from './measure-scan.ts';
import {
  type CloseRequest,
  type EvaluateMetricRequest,
  type FinishMetricRequest,
  type LogScanResult,
  type MeasureRequest,
  type MetricEvaluationResult,
  type MetricFinishResult,
  type MetricScanResult,
  type ReadRequest,
  ScanCancelledError,
  type ScanLogRequest,
  type ScanMetricRequest,
} from './messages.ts';
import { MetricScan } from './metric-scan.ts';
import { newScanStats } from './scan-stats.ts';

/** What a job answers with, and what of it is moved. */
export interface Done {
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

/** What a worker does beside encoding: all that reads blocks. Jobs run one after the other. */
export class ReadJobs {
  readonly #store: ObjectStore;
  readonly #source: BlockSource;
  readonly #firsts = new FirstOfKind();
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

  async run(request: ReadRequest): Promise<Done> {
    switch (request.kind) {
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
        if (this.#firsts.ofLog(request.plan, units[0]!)) {
          const before = new LogScan(request.plan, tenant);
          await before.run(units.slice(0, 1), request.beyondNs, this.#source, request.cancel, newScanStats());
        }
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
          const create = () => new MetricScan(request.scans[scan]!, unit.tenant, request.maxSeries);
          if (this.#firsts.ofMetric(request.scans[scan]!, unit)) {
            const before = create();
            await before.add(unit, this.#source, request.cancel, newScanStats());
            before.partial();
          }
          one = create();
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

function evaluateMetric({ plan, partials, maxSeries }: EvaluateMetricRequest): Done {
  const result = evaluatePartials(plan, partials, maxSeries);
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
