export { Dispatcher, type DispatcherOptions } from './dispatcher.ts';
export { dnsAddresses } from './dns-addresses.ts';
export { Frontend, type FrontendOptions } from './frontend.ts';
export { type FrontendHttpOptions, frontendRoutes } from './http.ts';
export { type FrontendGauges, type FrontendMetrics, frontendMetrics } from './metrics.ts';
export { RemoteParts, type RemotePartsOptions } from './remote-parts.ts';
export { QuerierWorker, type QuerierWorkerOptions } from './worker.ts';
