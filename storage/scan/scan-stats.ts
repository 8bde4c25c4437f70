/** What a scan has looked at. Workers count; the querier adds up and shows it in the answer's `stats`. */
export interface ScanStats {
  /** Blocks of segments that were opened. */
  storedBlocks: number;
  storedRows: number;
  /** Bytes of lines in opened blocks, before compression. */
  storedLineBytes: number;
  storedMetadataBytes: number;
  /** Bytes read from the object store. */
  storedReadBytes: number;
  /** Blocks and heads that are not yet in the object store. */
  recentBlocks: number;
  recentRows: number;
  recentLineBytes: number;
  recentMetadataBytes: number;
  /** Rows that passed all stages. */
  postFilterRows: number;
  /** Rows left out because an equal one stands in an earlier block. */
  duplicates: number;
  /** Blocks that could not be read and were set aside. */
  corruptBlocks: number;
}

export function newScanStats(): ScanStats {
  return {
    storedBlocks: 0,
    storedRows: 0,
    storedLineBytes: 0,
    storedMetadataBytes: 0,
    storedReadBytes: 0,
    recentBlocks: 0,
    recentRows: 0,
    recentLineBytes: 0,
    recentMetadataBytes: 0,
    postFilterRows: 0,
    duplicates: 0,
    corruptBlocks: 0,
  };
}

export function addScanStats(to: ScanStats, from: ScanStats): void {
  for (const key of Object.keys(to) as (keyof ScanStats)[]) to[key] += from[key];
}
