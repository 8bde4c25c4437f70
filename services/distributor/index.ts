export { pushRoutes } from './http.ts';
export { PushError } from './push-error.ts';
export { Distributor, type DistributorOptions, type PushRequest } from './service.ts';
