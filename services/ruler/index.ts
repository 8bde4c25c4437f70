export { type RulerHttpOptions, rulerRoutes } from './http.ts';
