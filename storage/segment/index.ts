export { CorruptSegmentError } from './corrupt-segment-error.ts';
export { type BlockPlace, SegmentFooter } from './footer.ts';
export {
  decodeTenant,
  encodeTenant,
  newSegmentId,
  parseSegmentKey,
  type SegmentKeyParts,
  segmentPrefix,
} from './key.ts';
export { readFilters, SegmentReader } from './reader.ts';
export { TimeBounds } from './time-bounds.ts';
export { type SegmentSeries, type WrittenSegment, writeSegment } from './writer.ts';
