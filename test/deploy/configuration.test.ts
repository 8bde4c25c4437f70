import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig, s3SettingsOf } from '../../services/config/index.ts';
import { at, filesBelowDeploy, list, ROOT, readYamlDocuments, readYamlFile, texts } from './deploy-files.ts';

/** Every configuration, what its processes find in their environment, and the targets they are started with. */
const ALONE = { environment: {}, targets: ['all'] };
const CLUSTER_TARGETS = [
  'distributor',
  'ingester',
  'querier',
  'query-frontend',
  'compactor',
  'read',
  'write',
  'backend',
];
const CASES: Readonly<Record<string, { environment: Record<string, string>; targets: readonly string[] }>> = {
  'deploy/loptr.yaml': ALONE,
  'deploy/compose/loptr.yaml': { environment: { LOPTR_ZONE: 'zone-1' }, targets: CLUSTER_TARGETS },
  'deploy/kubernetes/loptr.yaml': {
    environment: { LOPTR_ZONE: 'zone-a', POD_NAME: 'ingester-zone-a-0', POD_IP: '10.1.2.3', LOPTR_CORES: '2' },
    targets: CLUSTER_TARGETS,
  },
};

const load = (file: string, environment: Record<string, string>, ...args: string[]) =>
  loadConfig([`-config.file=${join(ROOT, file)}`, '-config.expand-env', ...args], { environment });

describe('configurations below deploy/', () => {
  it('are all looked at here', () => {
    assert.deepEqual(filesBelowDeploy('**/loptr.yaml'), Object.keys(CASES).sort());
  });

  for (const [file, { environment, targets }] of Object.entries(CASES)) {
    for (const target of targets) {
      it(`${file} is taken with -target=${target}, and every key of it has an effect`, () => {
        assert.deepEqual(load(file, environment, `-target=${target}`).warnings, []);
      });
    }
    it(`${file} is taken with nothing in the environment`, () => {
      assert.deepEqual(load(file, {}).warnings, []);
    });
  }

  it('start every process with a configuration that is here, and with a target', () => {
    const commands = [
      ...Object.values(at(readYamlFile('deploy/compose/cluster.yaml'), 'services') ?? {}),
      ...filesBelowDeploy('kubernetes/*.yaml')
        .flatMap((path) => readYamlDocuments(path))
        .flatMap((manifest) => list(at(manifest, 'spec', 'template', 'spec', 'containers'))),
    ]
      .map((part) => list(at(part, 'args') ?? at(part, 'command')).map(String))
      .filter((args) => args.some((arg) => arg.startsWith('-target=')));
    assert.ok(commands.length >= 14, `${commands.length} processes`);
    for (const args of commands) {
      const { commandLine } = loadConfig(
        args.map((arg) => arg.replace('/etc/loptr/', `${ROOT}/deploy/compose/`)),
        { environment: {} },
      );
      assert.ok(commandLine.switches.expandEnv, args.join(' '));
    }
  });
});

describe('the cluster', () => {
  for (const file of ['deploy/compose/loptr.yaml', 'deploy/kubernetes/loptr.yaml']) {
    const { environment } = CASES[file]!;
    it(`${file}: three copies in three zones, the ring in etcd, the same bucket for all, keys from the environment`, () => {
      const { config } = load(file, environment);
      const { ring } = config.common;
      assert.equal(config.common.replication_factor, 3);
      assert.equal(ring.kvstore.store, 'etcd');
      assert.ok(ring.zone_awareness_enabled && ring.instance_availability_zone === environment['LOPTR_ZONE']);
      const s3 = s3SettingsOf(config);
      assert.ok(s3 !== undefined && s3.bucket !== '');
      assert.equal(s3.secretAccessKey ?? '', '');
    });

    it(`${file}: gRPC takes what a push of the largest size becomes, and as many calls as queriers hold open`, () => {
      const { config } = load(file, environment);
      assert.ok(config.server.grpc_server_max_recv_msg_size >= config.distributor.max_recv_msg_size);
      assert.ok(config.server.grpc_server_max_concurrent_streams >= 30 * config.querier.max_concurrent);
    });
  }

  it('keeps secrets out of its files', () => {
    const names = ['SECRET', 'PASSWORD', 'ACCESS_KEY'];
    for (const path of filesBelowDeploy('**/*.yaml')) {
      for (const text of readYamlDocuments(path).flatMap((document) => texts(document))) {
        assert.ok(!/^[A-Za-z0-9+/]{32,}$/.test(text), `${path}: ${text}`);
      }
    }
    const { services } = readYamlFile('deploy/compose/cluster.yaml');
    for (const service of Object.values(services as object)) {
      for (const [name, value] of Object.entries(at(service, 'environment') ?? {})) {
        if (names.some((part) => name.includes(part))) assert.match(String(value), /^\$\{[A-Z0-9_]+:\?/, name);
      }
    }
  });
});
