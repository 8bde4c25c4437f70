export { type AdminOptions, adminRoutes, type LogLevelControl } from './admin-routes.ts';
export { HttpError } from './http-error.ts';
export { type IngesterControl, ingesterRoutes } from './ingester-routes.ts';
export { registerProcessMetrics } from './process-metrics.ts';
export { type RingMember, type RingPageOptions, ringRoutes } from './ring-routes.ts';
export { HttpServer, type HttpServerOptions } from './server.ts';
export type { ClientAuth } from './tls.ts';
export type {
  AccessTarget,
  Caller,
  Gatekeeper,
  HttpMethod,
  HttpRequest,
  HttpResponse,
  Route,
  RouteAuth,
  SocketRoute,
  Tenants,
} from './types.ts';
export { jsonResponse, textResponse } from './write-response.ts';
