export { type CompactorConfig, defaultCompactorConfig, settleMsOf } from './config.ts';
export { DeleteRequests } from './delete-requests.ts';
export { type DeleteRoutesOptions, deleteRoutes } from './http.ts';
export { expiryOf } from './retention.ts';
export { Compactor, type CompactorOptions, type SegmentMerger } from './service.ts';
