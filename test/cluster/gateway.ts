import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const PUSHES = /^\/(loki\/api\/v1\/push|api\/prom\/push|otlp\/)/;
const DELETES = /^\/loki\/api\/v1\/delete/;
const RULES = /^\/(loki\/api\/v1\/rules|api\/prom\/rules|prometheus\/api\/)/;

export interface GatewayTargets {
  /** Asked for each request: URLs without a path. */
  readonly distributor: () => string;
  readonly frontend: () => string;
  readonly backend: () => string;
}

export interface Gateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** One address for the whole cluster, as operators put in front of it: pushes go to distributors, the rest to queries. */
export async function startGateway(targets: GatewayTargets): Promise<Gateway> {
  const targetOf = (path: string): string => {
    if (PUSHES.test(path)) return targets.distributor();
    return DELETES.test(path) || RULES.test(path) ? targets.backend() : targets.frontend();
  };
  const pass = (incoming: IncomingMessage, answer: ServerResponse): void => {
    const { hostname, port } = new URL(targetOf(incoming.url!));
    const { method, url: path, headers } = incoming;
    const passed = request({ agent: false, hostname, port, method, path, headers }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
      response.on('error', () => answer.destroy());
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    incoming.pipe(passed);
  };
  const server = createServer(pass);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
