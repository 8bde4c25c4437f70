import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';

type Lookup = (host: string) => Promise<readonly { readonly address: string }[]>;

const lookUp: Lookup = (host) => lookup(host, { all: true });

/** Every address behind a name: `frontend:9095` becomes `10.0.0.1:9095`, `[fd00::2]:9095`. Throws the error of the look-up. */
export async function dnsAddresses(address: string, ask: Lookup = lookUp): Promise<string[]> {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = address.slice(colon + 1);
  const found = (await ask(host)).map((one) => one.address);
  return [...new Set(found)].sort().map((ip) => `${isIPv6(ip) ? `[${ip}]` : ip}:${port}`);
}
