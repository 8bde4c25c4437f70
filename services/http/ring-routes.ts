import { HttpError } from './http-error.ts';
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
  /** 0: not known. */
  readonly heartbeatAtMs: number;
}

export interface RingPageOptions {
  readonly members: () => readonly RingMember[] | Promise<readonly RingMember[]>;
  readonly nowMs: () => number;
  /** Part of the ring that falls to each member, together 1. */
  readonly shares?: () => ReadonlyMap<string, number>;
  /** Without it nobody can be forgotten. */
  readonly forget?: (id: string) => Promise<void>;
  /** Where the page is; `/ring` and `/distributor/ring` where nothing else is said. */
  readonly paths?: readonly string[];
  /** `/pattern/ring` is there only with a pattern ingester. */
  readonly findsPatterns?: boolean;
}

/** `/ring`: a page for people, with a button that forgets a member, and JSON for programs that ask for it. */
export function ringRoutes(options: RingPageOptions): Route[] {
  const { findsPatterns = false, paths = ['/ring', '/distributor/ring'] } = options;
  return [...paths, ...(findsPatterns ? ['/pattern/ring'] : [])].map((path) => ({
    methods: options.forget === undefined ? ['GET'] : ['GET', 'POST'],
    path,
    name: path.slice(1).replaceAll('/', '_'),
    auth: 'none',
    handler: (request) =>
      request.method === 'POST' && options.forget !== undefined
        ? forgetMember(options.forget, request)
        : showRing(options, request),
  }));
}

async function forgetMember(forget: (id: string) => Promise<void>, request: HttpRequest): Promise<HttpResponse> {
  const id = (await request.form()).get('forget') ?? '';
  try {
    if (id !== '') await forget(id);
  } catch (error: unknown) {
    const text = error instanceof Error ? error.message : String(error);
    throw new HttpError(500, `error forgetting instance '${id}': ${text}`, { cause: error });
  }
  // The browser shows the page anew, at the address it knows; to load that again does not forget again.
  return { status: 302, headers: { Location: '#' }, body: '' };
}

async function showRing(options: RingPageOptions, request: HttpRequest): Promise<HttpResponse> {
  const members = await options.members();
  const shares = options.shares?.();
  const nowMs = options.nowMs();
  const now = new Date(nowMs).toISOString();
  if (request.header('accept').includes('application/json')) {
    const shards = members.map((member) => ({
      id: member.id,
      state: stateOf(member),
      address: member.address,
      timestamp: new Date(member.heartbeatAtMs).toISOString(),
      registered_timestamp: new Date(member.registeredAtMs).toISOString(),
      read_only: false,
      zone: member.zone,
      tokens: [],
      ...(shares && { ownership: percent(shares.get(member.id)) }),
    }));
    return jsonResponse({ shards, now });
  }
  const columns: [head: string, cell: (member: RingMember) => string][] = [
    ['Instance ID', ({ id }) => escapeHtml(id)],
    ['Availability Zone', ({ zone }) => escapeHtml(zone)],
    ['State', (member) => escapeHtml(stateOf(member))],
    ['Address', ({ address }) => escapeHtml(address)],
    ['Registered At', ({ registeredAtMs }) => new Date(registeredAtMs).toISOString()],
    ['Last Heartbeat', ({ heartbeatAtMs }) => heartbeat(heartbeatAtMs, nowMs)],
  ];
  if (shares) columns.push(['Ownership', ({ id }) => percent(shares.get(id))]);
  if (options.forget) {
    const button = (id: string) => `<button name="forget" value="${escapeHtml(id)}" type="submit">Forget</button>`;
    columns.push(['Actions', ({ id }) => button(id)]);
  }
  const rows = members.map((member) => `<tr>${columns.map(([, cell]) => `<td>${cell(member)}</td>`).join('')}</tr>`);
  const head = columns.map(([text]) => `<th>${text}</th>`).join('');
  return {
    status: 200,
    headers: { 'Content-Type': 'text/html; charset=utf-8' },
    body:
      '<!doctype html><html lang="en"><meta charset="utf-8"><title>Ring Status</title><h1>Ring Status</h1>' +
      `<p>Current time: ${now}</p><form action="" method="POST">` +
      `<table border="1"><tr>${head}</tr>${rows.join('')}</table></form></html>\n`,
  };
}

const stateOf = (member: RingMember): string => (member.healthy ? member.state : 'UNHEALTHY');

const percent = (share = 0): string => `${Number((share * 100).toPrecision(4))}%`;

function heartbeat(atMs: number, nowMs: number): string {
  if (atMs === 0) return '';
  return `${(nowMs - atMs) / 1000}s ago (${new Date(atMs).toISOString().slice(11, -1)})`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
