/**
 * What a load needs: machines, memory, disks, objects, requests and money. Prints the tables of docs/scaling.md;
 *
 *   node deploy/sizing.ts            for the loads of the page
 *   node deploy/sizing.ts 5          for 5 TB a day
 *
 * MEASURED is from docs/performance.md and ASSUMED from nobody: put your own figures in. A GB is 10^9 bytes of log lines as they come.
 */

export const MEASURED = {
  /** The whole process, a GB of pushes of many lines: main thread, worker threads, V8's own threads. */
  mainThreadSPerGB: 5.4,
  encodeSPerGB: 5.2,
  runtimeSPerGB: 1.2,
  /** gRPC with messages of 1 MB, a GB, of who sends and who receives. */
  grpcSendSPerGB: 2,
  grpcReceiveSPerGB: 4,
  /** Mean over the queries of the benchmark, a GB of lines in the streams and the time that they ask for. */
  querySPerGB: 0.6,
  /** Merging three copies of segments to one, a GB of lines; and what is one already into larger segments. */
  mergeCopiesSPerGB: 17,
  mergeAgainSPerGB: 12,
  /** Stored bytes of a byte of lines, filters and index included. */
  storedShare: 105 / 512,
  /** Lines in a block that a query opens with one GET. */
  linesPerReadMB: 0.24,
} as const;

/** Of the program: see docs/configuration.md and storage/. */
export const FIXED = {
  /** Ingesters store a segment when so much is encoded. */
  segmentMiB: 16,
  /** compactor.max_segment_size. */
  mergedSegmentMiB: 128,
  /** Objects beyond this go up in parts of this size, with a request before and one after them. */
  partMiB: 8,
  /** Pieces in which the compactor reads. */
  mergeReadMiB: 4,
  /** compactor.retention_delete_delay, and the time until a merge. */
  copiesStayHours: 3,
} as const;

export const ASSUMED = {
  copies: 3,
  retentionDays: 30,
  /** The busiest hour over the mean. */
  peak: 2,
  /** Use of a core at the peak. */
  utilization: 0.6,
  /** The same of the compactor, for which nobody waits. */
  compactorUtilization: 0.9,
  /** Share of the main thread that is the distributor's: decoding, checks, levels, hashing. V8's threads are halved. */
  distributorShare: 2 / 3,
  /** How often a line lies in what queries ask for, over its life; their peak over the mean; what caches answer. */
  readsPerLine: 10,
  queryPeak: 3,
  cacheShare: 0.5,
  /** Share of blocks that a query opens: filters and statistics deny the others. */
  openedShare: 0.3,
  /** Merges of a row after that of its copies: its segment at least doubles each time. */
  laterMerges: 2,
  /** Time that ingesters take lines while the bucket takes none. */
  outageSeconds: 120,
} as const;

/** S3 in us-east-1, dollars: a GB-month by tier of GB, and a thousand requests. */
export const PRICES = {
  tiers: [
    [50_000, 0.023],
    [450_000, 0.022],
    [Number.POSITIVE_INFINITY, 0.021],
  ],
  put: 0.005,
  get: 0.0004,
} as const;

/** Grafana's "Size the cluster" for Loki: three tiers, all components of each added up; cores and GiB requested. */
export const LOKI_TIERS = [
  { name: 'less than 3 TB', cores: 38, memoryGiB: 59 },
  { name: '3 to 30 TB', cores: 431, memoryGiB: 857 },
  { name: 'about 30 TB', cores: 1221, memoryGiB: 2235 },
] as const;

const DAYS_PER_MONTH = 30;
const SECONDS_PER_DAY = 86_400;
const MIB = 2 ** 20;

export interface Role {
  readonly name: string;
  readonly pods: number;
  readonly coresPerPod: number;
  readonly memoryGBPerPod: number;
  readonly diskGBPerPod: number;
}

export interface Sizing {
  readonly tbPerDay: number;
  readonly roles: readonly Role[];
  readonly cores: number;
  readonly memoryGB: number;
  readonly maxUnflushedGB: number;
  readonly storedTB: number;
  readonly putsPerMonth: number;
  readonly getsPerMonth: number;
  readonly objects: number;
  readonly dollars: { readonly storage: number; readonly puts: number; readonly gets: number };
}

/** CPU seconds a GB of lines that comes in; the ingester's is for one copy. */
export function costs(): { readonly distributor: number; readonly ingester: number; readonly compactor: number } {
  const { mainThreadSPerGB, encodeSPerGB, runtimeSPerGB, grpcSendSPerGB, grpcReceiveSPerGB } = MEASURED;
  const share = ASSUMED.distributorShare;
  return {
    distributor: mainThreadSPerGB * share + runtimeSPerGB / 2 + ASSUMED.copies * grpcSendSPerGB,
    ingester: grpcReceiveSPerGB + mainThreadSPerGB * (1 - share) + encodeSPerGB + runtimeSPerGB / 2,
    compactor: MEASURED.mergeCopiesSPerGB + ASSUMED.laterMerges * MEASURED.mergeAgainSPerGB,
  };
}

/** GB a second that one process takes at the chosen use of the one thread that does all but encoding, or all merging. */
export function mostPerProcess(): {
  readonly distributor: number;
  readonly ingester: number;
  readonly compactor: number;
} {
  const share = ASSUMED.distributorShare;
  const distributor = MEASURED.mainThreadSPerGB * share + ASSUMED.copies * MEASURED.grpcSendSPerGB;
  const ingester = MEASURED.mainThreadSPerGB * (1 - share) + MEASURED.grpcReceiveSPerGB;
  return {
    distributor: ASSUMED.utilization / distributor,
    ingester: ASSUMED.utilization / ingester,
    compactor: ASSUMED.compactorUtilization / costs().compactor,
  };
}

export function size(tbPerDay: number): Sizing {
  const meanGBPerS = (tbPerDay * 1000) / SECONDS_PER_DAY;
  const peakGBPerS = meanGBPerS * ASSUMED.peak;
  const cost = costs();
  const most = mostPerProcess();
  const roles: Role[] = [];
  const add = (name: string, pods: number, cores: number, memoryGBPerPod: number, diskGBPerPod = 0): void => {
    roles.push({ name, pods, coresPerPod: Math.max(1, Math.ceil(cores / pods)), memoryGBPerPod, diskGBPerPod });
  };
  const coresOf = (secondsPerGB: number, gbPerS: number): number => (secondsPerGB * gbPerS) / ASSUMED.utilization;

  const distributors = Math.max(2, Math.ceil(peakGBPerS / most.distributor));
  add('distributor', distributors, coresOf(cost.distributor, peakGBPerS), 2);

  const copiesGBPerS = peakGBPerS * ASSUMED.copies;
  // The same number in each zone.
  const ingesters = Math.ceil(Math.max(1, copiesGBPerS / most.ingester / ASSUMED.copies)) * ASSUMED.copies;
  const maxUnflushedGB = Math.max(1, Math.ceil((copiesGBPerS / ingesters) * ASSUMED.outageSeconds));
  // Of the 4 GB that are enough for the defaults 1 is for rows; the log holds what is not stored, and wal.max_size twice.
  add('ingester', ingesters, coresOf(cost.ingester, copiesGBPerS), 3 + maxUnflushedGB, 2 * (maxUnflushedGB + 2));

  const queryCores = coresOf(MEASURED.querySPerGB, meanGBPerS * ASSUMED.readsPerLine * ASSUMED.queryPeak);
  add('querier', Math.max(2, Math.ceil(queryCores / 4)), queryCores, 4);
  add('query-frontend', 2, 2, 2);
  add('compactor', Math.ceil(meanGBPerS / mostPerProcess().compactor), 1, 2);

  const storedGBPerDay = tbPerDay * 1000 * MEASURED.storedShare;
  const keptGB = storedGBPerDay * (ASSUMED.retentionDays + (ASSUMED.copies * FIXED.copiesStayHours) / 24);
  const storedMiBPerMonth = (storedGBPerDay * 1e9 * DAYS_PER_MONTH) / MIB;
  const written = storedMiBPerMonth * ASSUMED.copies;
  const merged = storedMiBPerMonth * (1 + ASSUMED.laterMerges);
  const putsPerMonth =
    (written / FIXED.segmentMiB) * requestsOf(FIXED.segmentMiB) +
    (merged / FIXED.mergedSegmentMiB) * requestsOf(FIXED.mergedSegmentMiB);
  const mergeReads = (written + storedMiBPerMonth * ASSUMED.laterMerges) / FIXED.mergeReadMiB;
  const linesMB = tbPerDay * 1e6 * DAYS_PER_MONTH;
  const queryReads =
    ((linesMB * ASSUMED.readsPerLine) / MEASURED.linesPerReadMB) * ASSUMED.openedShare * (1 - ASSUMED.cacheShare);
  const getsPerMonth = mergeReads + queryReads;
  return {
    tbPerDay,
    roles,
    cores: sum(roles.map((role) => role.pods * role.coresPerPod)),
    memoryGB: sum(roles.map((role) => role.pods * role.memoryGBPerPod)),
    maxUnflushedGB,
    storedTB: keptGB / 1000,
    putsPerMonth,
    getsPerMonth,
    objects: (storedGBPerDay * 1e9 * ASSUMED.retentionDays) / (FIXED.mergedSegmentMiB * MIB),
    dollars: {
      storage: storagePrice(keptGB),
      puts: (putsPerMonth / 1000) * PRICES.put,
      gets: (getsPerMonth / 1000) * PRICES.get,
    },
  };
}

/** Requests that one object costs to write. */
function requestsOf(objectMiB: number): number {
  return objectMiB <= FIXED.partMiB ? 1 : Math.ceil(objectMiB / FIXED.partMiB) + 2;
}

export function storagePrice(gb: number): number {
  let left = gb;
  let dollars = 0;
  for (const [most, price] of PRICES.tiers) {
    const inTier = Math.min(left, most);
    dollars += inTier * price;
    left -= inTier;
  }
  return dollars;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
const round = (value: number, digits = 2): string =>
  Number(value.toPrecision(digits)).toLocaleString('en-US', { maximumFractionDigits: 2 });
const millions = (value: number): string => `${round(value / 1e6)} M`;

/** Cores and memory beside what Grafana asks for Loki: the tier that holds the load; beyond the largest, that one multiplied. */
export function comparison(loads: readonly number[]): string {
  const rows = loads.map((load) => {
    const { cores, memoryGB } = size(load);
    const tier = LOKI_TIERS[load < 3 ? 0 : load < 30 ? 1 : 2];
    const times = Math.max(1, load / 30);
    return [
      `${load} TB`,
      `${cores} cores, ${memoryGB} GB`,
      `${Math.round(tier.cores * times)} cores, ${Math.round(tier.memoryGiB * times * 1.073741824)} GB`,
      times > 1 ? `${round(times)} × ${tier.name}` : tier.name,
    ];
  });
  return table(['a day', 'Loptr, computed', 'Loki, published', "Loki's tier"], rows);
}

/** The tables of docs/scaling.md, one for machines and one for the bucket. */
export function tables(loads: readonly number[]): string {
  const sizings = loads.map(size);
  const head = ['', ...loads.map((tb) => `${tb} TB a day`)];
  const names = sizings[0]!.roles.map((role) => role.name);
  const machines = names.map((name, i) => [
    name,
    ...sizings.map(({ roles }) => {
      const { pods, coresPerPod, memoryGBPerPod, diskGBPerPod } = roles[i]!;
      const disk = diskGBPerPod > 0 ? `, ${diskGBPerPod} GB of disk` : '';
      return `${pods} × ${coresPerPod} ${coresPerPod === 1 ? 'core' : 'cores'}, ${memoryGBPerPod} GB${disk}`;
    }),
  ]);
  const row = (name: string, pick: (sizing: Sizing) => string): string[] => [name, ...sizings.map(pick)];
  return [
    table(head, [
      ...machines,
      row('together', ({ cores, memoryGB }) => `${cores} cores, ${memoryGB} GB`),
      row('`ingester.max_unflushed_bytes`', ({ maxUnflushedGB }) => `${maxUnflushedGB}GB`),
    ]),
    table(head, [
      row('kept', ({ storedTB }) => `${round(storedTB)} TB`),
      row('segments', ({ objects }) => round(objects)),
      row('writing requests a month', ({ putsPerMonth }) => millions(putsPerMonth)),
      row('reading requests a month', ({ getsPerMonth }) => millions(getsPerMonth)),
      row('storage a month', ({ dollars }) => `$${round(dollars.storage)}`),
      row('writing a month', ({ dollars }) => `$${round(dollars.puts)}`),
      row('reading a month', ({ dollars }) => `$${round(dollars.gets)}`),
      row(
        'the bucket, for each TB of lines',
        ({ dollars, tbPerDay }) => `$${round(sum(Object.values(dollars)) / (tbPerDay * DAYS_PER_MONTH))}`,
      ),
    ]),
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export const LOADS = [1, 10, 100];
export const COMPARED = [1, 10, 30, 100];

if (import.meta.main) {
  const loads = process.argv.slice(2).map(Number);
  process.stdout.write(loads.length > 0 ? `${tables(loads)}\n` : `${tables(LOADS)}\n\n${comparison(COMPARED)}\n`);
}
