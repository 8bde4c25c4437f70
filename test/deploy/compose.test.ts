import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../services/config/index.ts';
import { at, type Json, type JsonObject, list, object, ROOT, readText, readYamlFile, texts } from './deploy-files.ts';
import { violations } from './json-schema.ts';

const schema = JSON.parse(
  readFileSync(join(import.meta.dirname, 'schemas', 'compose-spec.json'), 'utf8'),
) as JsonObject;
const { version } = JSON.parse(readText('package.json')) as { version: string };
const FOLDER = 'deploy/compose';
const CONFIGURATIONS: Readonly<Record<string, string>> = {
  'single.yaml': 'deploy/loptr.yaml',
  'cluster.yaml': `${FOLDER}/loptr.yaml`,
};

for (const [file, configuration] of Object.entries(CONFIGURATIONS)) {
  const compose = readYamlFile(`${FOLDER}/${file}`);
  const services = Object.entries(object(compose['services'])) as [string, JsonObject][];
  const isLoptr = (service: JsonObject): boolean => service['image'] === `loptr:${version}`;

  describe(file, () => {
    it('follows the Compose Specification', () => {
      assert.deepEqual(violations(schema, compose), []);
    });

    it('pins every image to a version, and the own one to the version of the package', () => {
      for (const [name, { image }] of services) {
        assert.match(String(image), /:[^:/]*\d+\.\d+\.\d+|:RELEASE\.\d{4}-/, name);
        if (String(image).startsWith('loptr:')) assert.equal(image, `loptr:${version}`, name);
      }
    });

    it('builds the image from files that are there', () => {
      for (const [name, service] of services.filter(([, one]) => isLoptr(one))) {
        const context = join(ROOT, FOLDER, String(at(service, 'build', 'context')));
        assert.equal(context, join(ROOT, '/').slice(0, -1), name);
        assert.ok(existsSync(join(context, String(at(service, 'build', 'dockerfile')))), name);
      }
    });

    it('knows of every service whether it is healthy: the image of Loptr says so itself', () => {
      for (const [name, service] of services) {
        if (service['restart'] === 'no' || isLoptr(service)) continue;
        assert.ok(list(at(service, 'healthcheck', 'test')).length > 1, name);
      }
      assert.match(readText('deploy/Dockerfile'), /^HEALTHCHECK .*"-health"\]$/m);
    });

    it('waits for services that are there, for their health, or for their end where they only run once', () => {
      const byName = new Map(services);
      for (const [name, service] of services) {
        for (const [other, { condition }] of Object.entries(object(service['depends_on'])) as [string, JsonObject][]) {
          const awaited = byName.get(other);
          assert.ok(awaited, `${name} depends on ${other}`);
          const isOnce = awaited['restart'] === 'no';
          assert.equal(condition, isOnce ? 'service_completed_successfully' : 'service_healthy', `${name} on ${other}`);
        }
      }
    });

    it('uses every volume that it declares, declares every one that it uses, and mounts files that are there', () => {
      const used = new Set<string>();
      for (const [name, service] of services) {
        for (const mount of list(service['volumes']).map(String)) {
          const [from, to, mode] = mount.split(':') as [string, string, string | undefined];
          assert.ok(to.startsWith('/'), mount);
          if (!from.startsWith('.')) used.add(from);
          else {
            assert.ok(existsSync(join(ROOT, FOLDER, from)), `${name}: ${from}`);
            assert.equal(mode, 'ro', mount);
          }
        }
      }
      assert.deepEqual([...used].sort(), Object.keys(object(compose['volumes'])).sort());
    });

    it('opens ports of this machine only, as nothing asks who comes', () => {
      for (const [name, service] of services) {
        for (const port of list(service['ports'])) assert.match(String(port), /^127\.0\.0\.1:\d+:\d+$/, name);
      }
    });

    it('gives no service rights, and bounds the memory of each', () => {
      for (const [name, service] of services) {
        assert.deepEqual(service['cap_drop'], ['ALL'], name);
        assert.deepEqual(service['security_opt'], ['no-new-privileges:true'], name);
        assert.ok(service['mem_limit'], name);
        if (isLoptr(service)) assert.equal(service['read_only'], true, name);
      }
    });

    it('leaves Loptr the time that its configuration takes to stop', () => {
      const { config } = loadConfig([`-config.file=${join(ROOT, configuration)}`, '-config.expand-env']);
      const neededMs = config.shutdown_delay + config.server.graceful_shutdown_timeout;
      for (const [name, service] of services.filter(([, one]) => isLoptr(one))) {
        const seconds = Number(/^(\d+)s$/.exec(String(service['stop_grace_period']))?.[1]);
        assert.ok(seconds * 1000 >= neededMs + 10_000, `${name}: ${seconds} s`);
      }
    });
  });
}

describe('cluster.yaml', () => {
  const services = object(readYamlFile(`${FOLDER}/cluster.yaml`)['services']) as Readonly<Record<string, JsonObject>>;
  const targetsOf = (service: Json): string[] =>
    texts(at(service, 'command')).flatMap((argument) => /^-target=(.*)/.exec(argument)?.[1] ?? []);

  it('runs each service, two distributors, two queriers, and three ingesters with a name, zone and volume each', () => {
    const pods = Object.values(services).flatMap((service) =>
      targetsOf(service).flatMap((target) => Array(Number(at(service, 'deploy', 'replicas') ?? 1)).fill(target)),
    );
    assert.deepEqual(pods.sort(), [
      'compactor',
      ...['distributor', 'distributor'],
      ...['ingester', 'ingester', 'ingester'],
      ...['querier', 'querier'],
      'query-frontend',
    ]);
    const ingesters = Object.values(services).filter((service) => targetsOf(service).includes('ingester'));
    const different = (pick: (service: JsonObject) => unknown): number => new Set(ingesters.map(pick)).size;
    assert.equal(
      different((service) => service['hostname']),
      3,
    );
    assert.equal(
      different((service) => at(service, 'environment', 'LOPTR_ZONE')),
      3,
    );
    assert.equal(
      different((service) => JSON.stringify(service['volumes'])),
      3,
    );
  });

  it('finds the servers that loptr.yaml and nginx.conf name', () => {
    const { config } = loadConfig([`-config.file=${join(ROOT, FOLDER, 'loptr.yaml')}`, '-config.expand-env']);
    const named = [
      ...config.common.ring.kvstore.etcd.endpoints,
      config.common.storage.s3.endpoint,
      config.frontend_worker.frontend_address,
      config.query_range.results_cache.cache.memcached_client.addresses,
      config.chunk_store_config.chunk_cache_config.memcached_client.addresses,
      ...[...readText(`${FOLDER}/nginx.conf`).matchAll(/http:\/\/([a-z0-9-]+:\d+)/g)].map(([, address]) => address!),
    ];
    assert.ok(named.length >= 9);
    for (const address of named) assert.ok(services[address.replace(/:\d+$/, '')], address);
  });

  it('asks for every secret, which env.example lists', () => {
    const asked = new Set(
      [...readText(`${FOLDER}/cluster.yaml`).matchAll(/\$\{([A-Z0-9_]+):\?/g)].map(([, name]) => name!),
    );
    const listed = [...readText(`${FOLDER}/env.example`).matchAll(/^([A-Z0-9_]+)=/gm)].map(([, name]) => name!);
    assert.deepEqual([...asked].sort(), listed.sort());
  });
});
