import type { BlockColumns, MetadataColumn } from '../../source.ts';

export interface BlockOfOptions {
  /** Nanoseconds since 1970 of the rows; default: one row a second from 0. */
  readonly timestampsNs?: readonly bigint[];
  /** Structured metadata by row. */
  readonly metadata?: readonly Readonly<Record<string, string>>[];
}

/** For tests: a block with these lines. A line may be given as bytes. */
export function blockOf(lines: readonly (string | Uint8Array)[], options: BlockOfOptions = {}): BlockColumns {
  const parts = lines.map((line) => Buffer.from(line as Uint8Array));
  const lineStarts = new Uint32Array(lines.length + 1);
  for (let i = 0; i < parts.length; i++) lineStarts[i + 1] = lineStarts[i]! + parts[i]!.length;
  const bytes = Buffer.concat(parts);
  const timestamps = options.timestampsNs ?? lines.map((_, i) => BigInt(i) * 1_000_000_000n);
  const baseNs = timestamps[0] ?? 0n;
  return {
    rowCount: lines.length,
    baseNs,
    offsetsNs: Float64Array.from(timestamps, (ns) => Number(ns - baseNs)),
    lineStarts,
    bytes,
    ascii: bytes.every((byte) => byte < 0x80),
    metadata: metadataColumns(options.metadata ?? [], lines.length),
  };
}

function metadataColumns(rows: readonly Readonly<Record<string, string>>[], rowCount: number): MetadataColumn[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].sort();
  return names.map((name) => {
    const values = [''];
    const indexes = new Uint32Array(rowCount);
    rows.forEach((row, i) => {
      const value = row[name];
      if (value === undefined) return;
      const known = values.indexOf(value, 1);
      indexes[i] = known > 0 ? known : values.push(value) - 1;
    });
    return { name, values, valueAt: (index) => values[index]!, indexes };
  });
}
