import type { HttpRequest, HttpResponse, Route } from './types.ts';
import { jsonResponse } from './write-response.ts';

/** A member as the ring pages show it. */
export interface RingMember {
  readonly id: string;
  readonly state: string;
  readonly address: string;
  readonly zone: string;
  readonly healthy: boolean;
  readonly registeredAtMs: number;
  readonly heartbeatAtMs: number;
}

export interface RingPageOptions {
  readonly members: () => readonly RingMember[];
  readonly nowMs: () => number;
  /** `/pattern/ring` is there only with a pattern ingester. */
  readonly findsPatterns?: boolean;
}

/** `/ring`: a page for people, JSON for programs that ask for it. The other rings show the same process. */
export function ringRoutes(options: RingPageOptions): Route[] {
  const paths = ['/ring', '/distributor/ring', ...(options.findsPatterns ? ['/pattern/ring'] : [])];
  return paths.map((path) => ({
    methods: ['GET'],
    path,
    name: path.slice(1).replace('/', '_'),
    auth: 'none',
    handler: (request) => showRing(options, request),
  }));
}

function showRing({ members, nowMs }: RingPageOptions, request: HttpRequest): HttpResponse {
  const now = new Date(nowMs()).toISOString();
  if (request.header('accept').includes('application/json')) {
    const shards = members().map((member) => ({
      id: member.id,
      state: stateOf(member),
      address: member.address,
      timestamp: new Date(member.heartbeatAtMs).toISOString(),
      registered_timestamp: new Date(member.registeredAtMs).toISOString(),
      read_only: false,
      zone: member.zone,
      tokens: [],
    }));
    return jsonResponse({ shards, now });
  }
  const rows = members().map((member) => {
    const cells = [
      member.id,
      member.zone,
      stateOf(member),
      member.address,
      new Date(member.heartbeatAtMs).toISOString(),
    ];
    return `<tr>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  });
  const head = ['Instance', 'Zone', 'State', 'Address', 'Last heartbeat'].map((cell) => `<th>${cell}</th>`).join('');
  return {
    status: 200,
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
    body:
      '<!doctype html><html lang="en"><meta charset="utf-8"><title>Ring</title><h1>Ring</h1>' +
      `<p>Now: ${now}</p><table border="1"><tr>${head}</tr>${rows.join('')}</table></html>\n`,
  };
}

const stateOf = (member: RingMember): string => (member.healthy ? member.state : 'UNHEALTHY');

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
