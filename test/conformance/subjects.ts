import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Backends, Cluster } from '../cluster/cluster.ts';
import { startGateway } from '../cluster/gateway.ts';
import { TestServer } from '../harness/server.ts';

/** What requests are sent to: a server, or a whole cluster behind one address. */
export interface Subject {
  readonly url: string;
  /** Stores everything, ends, and starts again on the same data. */
  restartStored(): Promise<void>;
  stop(): Promise<void>;
}

/** One process with everything in it. */
export async function startServer(configFile: string): Promise<Subject> {
  const directory = mkdtempSync(join(tmpdir(), 'loptr-conformance-'));
  const start = () => TestServer.start({ cwd: directory, args: [`-config.file=${configFile}`] });
  let server = await start();
  return {
    get url() {
      return server.url;
    },
    async restartStored() {
      await flush(server.url);
      const end = await server.stop();
      if (end.code !== 0) throw new Error(`the server ended with ${JSON.stringify(end)}\n${server.log}`);
      server = await start();
    },
    async stop() {
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Two distributors, three ingesters with three copies of each line, two queriers, a frontend and a compactor. */
export async function startCluster(configFile: string): Promise<Subject> {
  const config = parse(readFileSync(configFile, 'utf8')) as Record<string, unknown>;
  // Where members listen, store and meet is the cluster's own matter.
  const { common } = config as { common: { storage: { filesystem: { rules_directory: string } } } };
  const { rules_directory } = common.storage.filesystem;
  for (const block of ['server', 'schema_config', 'query_range']) delete config[block];
  config['common'] = { storage: { filesystem: { rules_directory } } };
  const backends = await Backends.start();
  try {
    const cluster = await Cluster.start(backends, { config });
    let turn = 0;
    const distributors = cluster.names('distributor');
    const gateway = await startGateway({
      distributor: () => cluster.url(distributors[turn++ % distributors.length]!),
      frontend: () => cluster.url('frontend-1'),
      backend: () => cluster.url('compactor-1'),
    });
    return {
      url: gateway.url,
      async restartStored() {
        for (const name of cluster.names('ingester')) await flush(cluster.url(name));
        await Promise.all(cluster.names().map((name) => cluster.end(name, 'SIGTERM')));
        await Promise.all(cluster.names().map((name) => cluster.restart(name)));
      },
      async stop() {
        await gateway.stop();
        await cluster.kill();
        await backends.stop();
      },
    };
  } catch (error: unknown) {
    await backends.stop();
    throw error;
  }
}

async function flush(url: string): Promise<void> {
  const answer = await fetch(`${url}/flush`, { method: 'POST' });
  if (answer.status !== 204) throw new Error(`POST /flush answered ${answer.status}: ${await answer.text()}`);
}
