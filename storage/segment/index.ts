export { CorruptSegmentError } from './corrupt-segment-error.ts';
export { type BlockPlace, SegmentFooter } from './footer.ts';
export { newSegmentId, parseSegmentKey, type SegmentKeyParts, segmentPrefix } from './key.ts';
export { SegmentReader } from './reader.ts';
export { type SegmentSeries, type WrittenSegment, writeSegment } from './writer.ts';
