import { posix } from 'node:path';
import type { HttpMethod } from './types.ts';

/** What a router needs of a route. */
export interface Routable {
  readonly path: string;
  readonly methods?: readonly HttpMethod[];
}

export type Match<R> =
  | { readonly kind: 'found'; readonly route: R; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'wrong-method' }
  | { readonly kind: 'unknown' };

const NO_PARAMS: Readonly<Record<string, string>> = {};

/**
 * Exact paths, and paths with variables (`/label/{name}/values`), of which one takes one part. Answers like Loki's router:
 * an unclean path is redirected; a known path with the wrong method is 405, yet 404 for GET and DELETE.
 */
export class Router<R extends Routable> {
  readonly #exact = new Map<string, R[]>();
  readonly #patterns: { readonly pattern: RegExp; readonly names: readonly string[]; readonly routes: R[] }[] = [];
  readonly #prefix: string;

  /** `prefix` comes before every path; '' or `/x`. */
  constructor(routes: readonly R[], prefix = '') {
    this.#prefix = prefix.replace(/\/+$/, '');
    for (const route of routes) this.#add(route);
  }

  #add(route: R): void {
    const path = this.#prefix + route.path;
    const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
    if (names.length === 0) {
      const routes = this.#exact.get(path);
      if (routes === undefined) this.#exact.set(path, [route]);
      else routes.push(route);
      return;
    }
    const source = path
      .split(/\{\w+\}/)
      .map(quotePattern)
      .join('([^/]+)');
    const pattern = new RegExp(`^${source}$`);
    const known = this.#patterns.find((entry) => entry.pattern.source === pattern.source);
    if (known === undefined) this.#patterns.push({ pattern, names, routes: [route] });
    else known.routes.push(route);
  }

  /** `path`: decoded, without query string. */
  match(method: string, path: string): Match<R> {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return pick(exact, method, NO_PARAMS);
    const clean = cleanPath(path);
    if (clean !== path) return { kind: 'redirect', path: clean };
    for (const { pattern, names, routes } of this.#patterns) {
      const match = pattern.exec(path);
      if (match === null) continue;
      return pick(routes, method, Object.fromEntries(names.map((name, index) => [name, match[index + 1]!])));
    }
    return { kind: 'unknown' };
  }
}

function pick<R extends Routable>(
  routes: readonly R[],
  method: string,
  params: Readonly<Record<string, string>>,
): Match<R> {
  const route = routes.find((candidate) => (candidate.methods ?? ['GET']).includes(method as HttpMethod));
  if (route !== undefined) return { kind: 'found', route, params };
  return { kind: method === 'GET' || method === 'DELETE' ? 'unknown' : 'wrong-method' };
}

/** `/a//b/../c/` → `/a/c/` */
function cleanPath(path: string): string {
  const clean = posix.normalize(path.startsWith('/') ? path : `/${path}`);
  return clean.replace(/^\/\/+/, '/');
}

const quotePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
