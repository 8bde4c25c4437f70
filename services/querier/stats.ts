import { newScanStats, type ScanStats } from '../../storage/scan/scan-stats.ts';

/** What one query cost, gathered while it runs. */
export class QueryStats {
  readonly scan: ScanStats = newScanStats();
  readonly #startMs = performance.now();
  /** ms that the query waited for its turn. */
  queueMs = 0;
  /** Streams that were asked for in the index and in the ingesters. */
  totalStreams = 0;
  storedChunks = 0;
  /** Segments of the time that could not be read. */
  leftOutSegments = 0;
  recentChunks = 0;
  ingestersReached = 0;
  indexMs = 0;
  entriesReturned = 0;
  /** Jobs of worker threads that the work was divided into. */
  subqueries = 0;
  /** Parts by time that a query frontend divided it into. */
  splits = 0;

  /** What was looked at, in the store and in the ingesters. */
  get processed(): { readonly bytes: number; readonly lines: number; readonly metadataBytes: number } {
    const { scan } = this;
    const metadataBytes = scan.storedMetadataBytes + scan.recentMetadataBytes;
    return {
      bytes: scan.storedLineBytes + scan.recentLineBytes + metadataBytes,
      lines: scan.storedRows + scan.recentRows,
      metadataBytes,
    };
  }

  /** The work begins anew: what a first attempt saw does not count. */
  restart(): void {
    Object.assign(this.scan, newScanStats());
    this.totalStreams = 0;
    this.storedChunks = 0;
    this.leftOutSegments = 0;
    this.recentChunks = 0;
    this.ingestersReached = 0;
    this.subqueries = 0;
  }

  /** Every figure by its name, for who adds up. */
  counts(): Record<string, number> {
    const numbers = Object.entries(this).filter((field): field is [string, number] => typeof field[1] === 'number');
    return { ...Object.fromEntries(numbers), ...this.scan };
  }

  /** Adds the `counts` of another; names that are not known here are left out. */
  add(counts: Readonly<Record<string, number>>): void {
    const scan = this.scan as unknown as Record<string, number>;
    const own = this as unknown as Record<string, unknown>;
    for (const [name, value] of Object.entries(counts)) {
      if (Object.hasOwn(scan, name)) scan[name]! += value;
      else if (typeof own[name] === 'number') own[name] += value;
    }
  }

  get execSeconds(): number {
    return (performance.now() - this.#startMs) / 1000;
  }
}

/** The `stats` object of an answer, with every key that Loki's clients read. Durations are seconds, inner ones ns. */
export function renderStats(stats: QueryStats): Record<string, unknown> {
  const { scan } = stats;
  const exec = stats.execSeconds;
  const { bytes, lines, metadataBytes } = stats.processed;
  const indexNs = Math.round(stats.indexMs * 1e6);
  return {
    summary: {
      bytesProcessedPerSecond: exec > 0 ? Math.round(bytes / exec) : 0,
      linesProcessedPerSecond: exec > 0 ? Math.round(lines / exec) : 0,
      totalBytesProcessed: bytes,
      totalLinesProcessed: lines,
      execTime: exec,
      queueTime: stats.queueMs / 1000,
      subqueries: 0,
      totalEntriesReturned: stats.entriesReturned,
      splits: stats.splits,
      shards: stats.subqueries,
      totalPostFilterLines: scan.postFilterRows,
      totalStructuredMetadataBytesProcessed: metadataBytes,
    },
    querier: {
      store: renderStore({
        chunks: stats.storedChunks,
        downloaded: scan.storedBlocks,
        refsNs: indexNs,
        headBytes: 0,
        headLines: 0,
        headMetadataBytes: 0,
        bytes: scan.storedLineBytes,
        lines: scan.storedRows,
        metadataBytes: scan.storedMetadataBytes,
        compressedBytes: scan.storedReadBytes,
        duplicates: scan.duplicates,
        postFilterLines: scan.postFilterRows,
      }),
      querierExecTime: Math.round(exec * 1e9),
    },
    ingester: {
      totalReached: stats.ingestersReached,
      totalChunksMatched: stats.recentChunks,
      totalBatches: scan.recentBlocks,
      totalLinesSent: scan.recentRows,
      store: renderStore({
        chunks: 0,
        downloaded: 0,
        refsNs: 0,
        headBytes: scan.recentLineBytes,
        headLines: scan.recentRows,
        headMetadataBytes: scan.recentMetadataBytes,
        bytes: 0,
        lines: 0,
        metadataBytes: 0,
        compressedBytes: 0,
        duplicates: 0,
        postFilterLines: 0,
      }),
      recvWaitTime: 0,
    },
    cache: Object.fromEntries(CACHES.map((name) => [name, EMPTY_CACHE])),
    index: {
      totalChunks: stats.storedChunks,
      postFilterChunks: scan.storedBlocks,
      shardsDuration: 0,
      usedBloomFilters: false,
      totalStreams: stats.totalStreams,
      chunkRefsLookupTime: indexNs,
      bloomFilterTime: 0,
    },
  };
}

interface StoreFigures {
  chunks: number;
  downloaded: number;
  refsNs: number;
  headBytes: number;
  headLines: number;
  headMetadataBytes: number;
  bytes: number;
  lines: number;
  metadataBytes: number;
  compressedBytes: number;
  duplicates: number;
  postFilterLines: number;
}

function renderStore(figures: StoreFigures): Record<string, unknown> {
  return {
    totalChunksRef: figures.chunks,
    totalChunksDownloaded: figures.downloaded,
    chunksDownloadTime: 0,
    queryReferencedStructuredMetadata: figures.metadataBytes + figures.headMetadataBytes > 0,
    queryUsedV2Engine: false,
    chunk: {
      headChunkBytes: figures.headBytes,
      headChunkLines: figures.headLines,
      decompressedBytes: figures.bytes,
      decompressedLines: figures.lines,
      compressedBytes: figures.compressedBytes,
      totalDuplicates: figures.duplicates,
      postFilterLines: figures.postFilterLines,
      headChunkStructuredMetadataBytes: figures.headMetadataBytes,
      decompressedStructuredMetadataBytes: figures.metadataBytes,
    },
    chunkRefsFetchTime: figures.refsNs,
    congestionControlLatency: 0,
    pipelineWrapperFilteredLines: 0,
    dataobj: DATAOBJ,
  };
}

const CACHES = [
  'chunk',
  'index',
  'result',
  'statsResult',
  'volumeResult',
  'seriesResult',
  'labelResult',
  'instantMetricResult',
] as const;

/** There are no such caches here; the keys are there because clients print them. */
const EMPTY_CACHE = {
  entriesFound: 0,
  entriesRequested: 0,
  entriesStored: 0,
  bytesReceived: 0,
  bytesSent: 0,
  requests: 0,
  downloadTime: 0,
  queryLengthServed: 0,
};

const DATAOBJ = {
  prePredicateDecompressedRows: 0,
  prePredicateDecompressedBytes: 0,
  prePredicateDecompressedStructuredMetadataBytes: 0,
  postPredicateRows: 0,
  postPredicateDecompressedBytes: 0,
  postPredicateStructuredMetadataBytes: 0,
  postFilterRows: 0,
  pagesScanned: 0,
  pagesDownloaded: 0,
  pagesDownloadedBytes: 0,
  pageBatches: 0,
  totalRowsAvailable: 0,
  totalPageDownloadTime: 0,
};
