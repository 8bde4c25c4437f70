/** A part of the program that `-target` can name. */
export type Service = 'distributor' | 'ingester' | 'querier' | 'query-frontend' | 'compactor' | 'ruler';

/** In the order in which they are shown. */
export const SERVICES: readonly Service[] = [
  'distributor',
  'ingester',
  'querier',
  'query-frontend',
  'compactor',
  'ruler',
];

/** Names for several services at once, as Loki has them. */
export const GROUPS: Readonly<Record<string, readonly Service[]>> = {
  all: SERVICES,
  read: ['query-frontend', 'querier'],
  write: ['distributor', 'ingester'],
  backend: ['compactor', 'ruler'],
};

/** Services of Loki whose work is done elsewhere here. */
const DONE_ELSEWHERE: Readonly<Record<string, string>> = {
  'query-scheduler': 'the query frontend queues for itself',
  'index-gateway': 'segments carry their own index',
  'pattern-ingester': 'ingesters find patterns with pattern_ingester.enabled',
  'table-manager': 'there are no tables',
  'overrides-exporter': 'every process shows the limits of tenants at /config/tenant/v1/limits',
};

/** The services that `-target` asks for. Throws RangeError with what is wrong. */
export function parseTargets(text: string): ReadonlySet<Service> {
  const services = new Set<Service>();
  for (const name of text.split(',').map((part) => part.trim())) {
    const group = Object.hasOwn(GROUPS, name) ? GROUPS[name] : undefined;
    if (group !== undefined) for (const service of group) services.add(service);
    else if (isService(name)) services.add(name);
    else throw new RangeError(refusalOf(name));
  }
  return services;
}

function isService(name: string): name is Service {
  return (SERVICES as readonly string[]).includes(name);
}

function refusalOf(name: string): string {
  const elsewhere = Object.hasOwn(DONE_ELSEWHERE, name) ? DONE_ELSEWHERE[name] : undefined;
  if (elsewhere !== undefined) return `there is no ${name} to run: ${elsewhere}`;
  return `expected some of ${[...Object.keys(GROUPS), ...SERVICES].join(', ')}, got ${JSON.stringify(name)}`;
}
