export { type ColumnMemory, ReusedMemory } from './column-memory.ts';
export { CorruptBlockError } from './corrupt-block-error.ts';
export { blocksToCompare, markDuplicates, overlappingDuplicates, shareTime } from './duplicates.ts';
export { type BlockLimits, defaultBlockLimits, encodeBlocks } from './encode.ts';
export { headToColumns } from './head-columns.ts';
export {
  columnsOfHead,
  type HeadPieces,
  type HeadRows,
  packHeads,
  RECORD_HEADER_BYTES,
  recordBytes,
} from './head-pieces.ts';
export { decodeMetadataSet, encodeMetadataSet, type MetadataPairs } from './metadata-set.ts';
export { BlockReader, openBlock, type WantedColumns } from './reader.ts';
export type { BlockStats, EncodedBlock, HeadColumns } from './types.ts';
