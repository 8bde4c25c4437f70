import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../../services/config/index.ts';
import {
  at,
  filesBelowDeploy,
  type Json,
  type JsonObject,
  list,
  object,
  ROOT,
  readText,
  readYamlDocuments,
  readYamlFile,
} from './deploy-files.ts';
import { manifestViolations } from './kubernetes-types.ts';

const FOLDER = 'deploy/kubernetes';
const kustomization = readYamlFile(`${FOLDER}/kustomization.yaml`);
const applied = list(kustomization['resources']).map(String);
const NOT_MANIFESTS = ['kustomization.yaml', 'loptr.yaml'];
const manifestFiles = filesBelowDeploy('kubernetes/*.yaml')
  .map((path) => basename(path))
  .filter((name) => !NOT_MANIFESTS.includes(name));
const manifests = manifestFiles.flatMap((name) => readYamlDocuments(`${FOLDER}/${name}`));
const ofKind = (...kinds: string[]): JsonObject[] => manifests.filter(({ kind }) => kinds.includes(String(kind)));
const nameOf = (manifest: JsonObject): string => String(at(manifest, 'metadata', 'name'));
const podsOf = (manifest: JsonObject): JsonObject => object(at(manifest, 'spec', 'template', 'spec'));
const labelsOf = (manifest: JsonObject): JsonObject => object(at(manifest, 'spec', 'template', 'metadata', 'labels'));
const containerOf = (manifest: JsonObject): JsonObject => object(list(podsOf(manifest)['containers'])[0]);
const workloads = ofKind('Deployment', 'StatefulSet');
const isLoptr = (workload: JsonObject): boolean => containerOf(workload)['image'] === 'loptr';
const targetOf = (workload: JsonObject): string | undefined =>
  list(containerOf(workload)['args']).flatMap((arg) => /^-target=(.*)/.exec(String(arg))?.[1] ?? [])[0];
const named = (kind: string, name: string): JsonObject | undefined =>
  ofKind(kind).find((manifest) => nameOf(manifest) === name);
const selects = (selector: Json | undefined, labels: JsonObject): boolean =>
  Object.entries(object(selector)).every(([label, value]) => labels[label] === value);
const { config } = loadConfig([`-config.file=${join(ROOT, FOLDER, 'loptr.yaml')}`, '-config.expand-env']);

describe('manifests for Kubernetes', () => {
  for (const file of manifestFiles) {
    it(`${file} has only fields that Kubernetes knows, all that it needs, of the right types`, () => {
      const documents = readYamlDocuments(`${FOLDER}/${file}`);
      assert.deepEqual(
        documents.flatMap((manifest) => manifestViolations(manifest).map((text) => `${nameOf(manifest)}${text}`)),
        [],
      );
    });
  }

  it('have names of their own within their kind', () => {
    const names = manifests.map((manifest) => `${manifest['kind']} ${nameOf(manifest)}`);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
  });

  it('are applied by the kustomization, but for the example of a secret and the network policy', () => {
    assert.deepEqual([...applied, 'network-policy.yaml', 'secret.example.yaml'].sort(), [...manifestFiles].sort());
    assert.match(readText(`${FOLDER}/kustomization.yaml`), /^ {2}# - network-policy\.yaml$/m);
    for (const generator of list(kustomization['configMapGenerator'])) {
      for (const file of list(at(generator, 'files'))) assert.ok(existsSync(join(ROOT, FOLDER, String(file))));
    }
  });

  it('take the image of this version', () => {
    const { version } = JSON.parse(readText('package.json')) as { version: string };
    assert.deepEqual(
      list(kustomization['images']).map((image) => [at(image, 'name'), at(image, 'newTag')]),
      [['loptr', version]],
    );
    for (const workload of workloads.filter((one) => !isLoptr(one))) {
      assert.match(String(containerOf(workload)['image']), /:v?\d+\.\d+\.\d+/, nameOf(workload));
    }
  });
});

describe('pods', () => {
  it('are chosen by the selectors of their workload and of nothing else', () => {
    for (const workload of workloads) {
      const selector = at(workload, 'spec', 'selector', 'matchLabels');
      const chosen = workloads.filter((other) => selects(selector, labelsOf(other)));
      assert.deepEqual(chosen.map(nameOf), [nameOf(workload)]);
    }
  });

  it('keep to the restricted standard: no root, no rights, nothing to write to but volumes', () => {
    assert.equal(
      at(
        manifests.find(({ kind }) => kind === 'Namespace'),
        'metadata',
        'labels',
        'pod-security.kubernetes.io/enforce',
      ),
      'restricted',
    );
    for (const workload of workloads) {
      const pod = podsOf(workload);
      assert.equal(pod['automountServiceAccountToken'], false, nameOf(workload));
      assert.equal(at(pod, 'securityContext', 'runAsNonRoot'), true, nameOf(workload));
      assert.ok(Number(at(pod, 'securityContext', 'runAsUser')) > 0, nameOf(workload));
      assert.equal(at(pod, 'securityContext', 'seccompProfile', 'type'), 'RuntimeDefault', nameOf(workload));
      for (const container of list(pod['containers'])) {
        assert.deepEqual(
          at(container, 'securityContext'),
          { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
          nameOf(workload),
        );
      }
    }
  });

  it('of Loptr run as the user of the image, and write where its volume is', () => {
    const image = readText('deploy/Dockerfile');
    const [, user, group] = /^USER (\d+):(\d+)$/m.exec(image)!;
    const [, volume] = /^VOLUME (\S+)$/m.exec(image)!;
    assert.equal(config.common.path_prefix, volume);
    for (const workload of workloads.filter(isLoptr)) {
      const { runAsUser, runAsGroup, fsGroup } = object(podsOf(workload)['securityContext']);
      assert.deepEqual(
        [runAsUser, runAsGroup, fsGroup],
        [Number(user), Number(group), Number(group)],
        nameOf(workload),
      );
      const mounts = list(containerOf(workload)['volumeMounts']).map((mount) => at(mount, 'mountPath'));
      assert.ok(mounts.includes(volume!), nameOf(workload));
    }
  });

  it('mount volumes that they have, from config maps and secrets that are made', () => {
    const configMaps = list(kustomization['configMapGenerator']).map((generator) => at(generator, 'name'));
    for (const workload of workloads) {
      const claims = list(at(workload, 'spec', 'volumeClaimTemplates')).map((claim) => at(claim, 'metadata', 'name'));
      const volumes = list(podsOf(workload)['volumes']);
      const there = [...claims, ...volumes.map((volume) => at(volume, 'name'))];
      const mounted = list(containerOf(workload)['volumeMounts']).map((mount) => at(mount, 'name'));
      assert.deepEqual(mounted.sort(), there.sort(), nameOf(workload));
      for (const volume of volumes) {
        const configMap = at(volume, 'configMap', 'name');
        if (configMap !== undefined) assert.ok(configMaps.includes(configMap), nameOf(workload));
      }
      for (const source of list(containerOf(workload)['envFrom'])) {
        assert.ok(named('Secret', String(at(source, 'secretRef', 'name'))), nameOf(workload));
      }
      assert.equal(podsOf(workload)['serviceAccountName'], nameOf(ofKind('ServiceAccount')[0]!), nameOf(workload));
    }
  });

  it('say what they need and are bound by it; memory is not promised twice', () => {
    for (const workload of workloads) {
      const { requests, limits } = object(containerOf(workload)['resources']) as Record<string, JsonObject>;
      assert.ok(requests!['cpu'] && requests!['memory'] && limits!['cpu'] && limits!['memory'], nameOf(workload));
      if (isLoptr(workload)) assert.equal(requests!['memory'], limits!['memory'], nameOf(workload));
    }
  });

  it('are spread over zones and nodes by their own labels', () => {
    for (const workload of workloads) {
      const labels = labelsOf(workload);
      const constraints = list(podsOf(workload)['topologySpreadConstraints']);
      const apart = list(
        at(podsOf(workload), 'affinity', 'podAntiAffinity', 'requiredDuringSchedulingIgnoredDuringExecution'),
      );
      const keys = [...constraints, ...apart].map((rule) => at(rule, 'topologyKey'));
      assert.ok(keys.includes('topology.kubernetes.io/zone'), nameOf(workload));
      for (const rule of constraints) {
        assert.ok(selects(at(rule, 'labelSelector', 'matchLabels'), labels), nameOf(workload));
      }
    }
  });

  it('have as long to stop as their configuration may take, and no hook that would shorten it', () => {
    const neededMs = config.shutdown_delay + config.server.graceful_shutdown_timeout;
    for (const workload of workloads.filter(isLoptr)) {
      const seconds = Number(podsOf(workload)['terminationGracePeriodSeconds']);
      assert.ok(seconds * 1000 >= neededMs + 10_000, `${nameOf(workload)}: ${seconds} s`);
      assert.equal(containerOf(workload)['lifecycle'], undefined, nameOf(workload));
    }
  });

  it('of Loptr are ready when /ready says so; liveness never asks it, and waits for the end of the start', () => {
    for (const workload of workloads.filter(isLoptr)) {
      const { startupProbe, readinessProbe, livenessProbe } = containerOf(workload);
      assert.equal(at(startupProbe, 'httpGet', 'path'), '/ready');
      assert.equal(at(readinessProbe, 'httpGet', 'path'), '/ready');
      assert.equal(at(livenessProbe, 'httpGet', 'path'), '/metrics');
      const startSeconds = Number(at(startupProbe, 'periodSeconds')) * Number(at(startupProbe, 'failureThreshold'));
      assert.ok(
        startSeconds >= (targetOf(workload) === 'ingester' ? 1800 : 300),
        `${nameOf(workload)}: ${startSeconds} s`,
      );
      const patience = Number(at(livenessProbe, 'periodSeconds')) * Number(at(livenessProbe, 'failureThreshold'));
      assert.ok(patience >= 120, `${nameOf(workload)}: ${patience} s`);
    }
    assert.ok(config.access.open_metrics, 'probes have no credentials');
  });

  it('are probed on ports that they have', () => {
    for (const workload of workloads) {
      const container = containerOf(workload);
      const ports = list(container['ports']).map((port) => at(port, 'name'));
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
        const asked = at(container[probe], 'httpGet', 'port') ?? at(container[probe], 'tcpSocket', 'port');
        if (container[probe] !== undefined) assert.ok(ports.includes(asked!), `${nameOf(workload)} ${probe}`);
      }
    }
  });
});

describe('services, budgets, scaling', () => {
  it('services find pods, and ports of theirs', () => {
    for (const service of ofKind('Service')) {
      const behind = workloads.filter((workload) => selects(at(service, 'spec', 'selector'), labelsOf(workload)));
      assert.ok(behind.length > 0, nameOf(service));
      for (const workload of behind) {
        const ports = list(containerOf(workload)['ports']).map((port) => at(port, 'name'));
        for (const port of list(at(service, 'spec', 'ports'))) {
          assert.ok(ports.includes(at(port, 'targetPort')!), `${nameOf(service)}: ${nameOf(workload)}`);
        }
      }
    }
    for (const set of ofKind('StatefulSet')) {
      const service = named('Service', String(at(set, 'spec', 'serviceName')));
      assert.equal(at(service, 'spec', 'clusterIP'), 'None', nameOf(set));
    }
  });

  it('an eviction takes one pod at a time of each part that must be there', () => {
    const parts = new Set(workloads.map((workload) => String(labelsOf(workload)['app.kubernetes.io/component'])));
    parts.delete('compactor');
    for (const part of parts) {
      if (part === 'memcached') continue; // a cache
      const budget = named('PodDisruptionBudget', part);
      assert.equal(at(budget, 'spec', 'maxUnavailable'), 1, part);
      assert.ok(selects(at(budget, 'spec', 'selector', 'matchLabels'), { 'app.kubernetes.io/component': part }), part);
    }
  });

  it('what is scaled by load is stateless, and its number is left to the autoscaler', () => {
    const scaled = ofKind('HorizontalPodAutoscaler');
    assert.deepEqual(scaled.map(nameOf).sort(), ['distributor', 'gateway', 'querier']);
    for (const autoscaler of scaled) {
      const { kind, name } = object(at(autoscaler, 'spec', 'scaleTargetRef'));
      const target = named(String(kind), String(name));
      assert.equal(at(target, 'spec', 'replicas'), undefined, nameOf(autoscaler));
      assert.ok(at(list(podsOf(target!)['containers'])[0], 'resources', 'requests', 'cpu'), nameOf(autoscaler));
      assert.ok(Number(at(autoscaler, 'spec', 'minReplicas')) >= 2);
    }
    const fixed = workloads.filter((workload) => !scaled.map(nameOf).includes(nameOf(workload)));
    for (const workload of fixed) assert.ok(Number(at(workload, 'spec', 'replicas')) >= 1, nameOf(workload));
  });

  it('loptr.yaml and nginx.conf name services that are here, members of stateful sets among them', () => {
    const hosts = [
      ...config.common.ring.kvstore.etcd.endpoints,
      config.frontend_worker.frontend_address,
      ...config.query_range.results_cache.cache.memcached_client.addresses.split(','),
      ...config.chunk_store_config.chunk_cache_config.memcached_client.addresses.split(','),
      ...[...readText(`${FOLDER}/nginx.conf`).matchAll(/proxy_pass http:\/\/([^;/]+)/g)].map(([, host]) => host!),
    ];
    assert.ok(hosts.length >= 15);
    for (const host of hosts) {
      const [, member, service, port] = /^(?:([a-z-]+)-\d+\.)?([a-z-]+):(\d+)$/.exec(host)!;
      const found = named('Service', service!);
      const ports = list(at(found, 'spec', 'ports')).map((one) => at(one, 'port'));
      assert.ok(ports.includes(Number(port)), host);
      if (member !== undefined) assert.equal(at(named('StatefulSet', member), 'spec', 'serviceName'), service, host);
    }
  });

  it('queriers find every frontend, also one that waits for them', () => {
    const headless = named('Service', config.frontend_worker.frontend_address.split(':')[0]!);
    assert.equal(at(headless, 'spec', 'clusterIP'), 'None');
    assert.equal(at(headless, 'spec', 'publishNotReadyAddresses'), true);
  });
});

describe('ingesters', () => {
  const zones = workloads.filter((workload) => targetOf(workload) === 'ingester');

  it('are in as many zones as there are copies; the zones differ in their letter only', () => {
    assert.equal(zones.length, config.common.replication_factor);
    const [first, ...others] = ['a', 'b', 'c'].map((letter) =>
      readText(`${FOLDER}/ingester-zone-${letter}.yaml`)
        .replaceAll(`zone-${letter}`, 'zone-?')
        .replaceAll(`zone: ${letter} `, 'zone: ? ')
        .replaceAll(`[${letter}]`, '[?]')
        .replace(`of zone ${letter}.`, 'of zone ?.'),
    );
    for (const other of others) assert.equal(other, first);
  });

  it('start together, keep their volumes, and are replaced by roll-ingesters.sh, zone after zone', () => {
    for (const zone of zones) {
      assert.equal(at(zone, 'spec', 'podManagementPolicy'), 'Parallel');
      assert.equal(at(zone, 'spec', 'updateStrategy', 'type'), 'OnDelete');
      assert.deepEqual(at(zone, 'spec', 'persistentVolumeClaimRetentionPolicy'), {
        whenDeleted: 'Retain',
        whenScaled: 'Retain',
      });
    }
    const script = readText(`${FOLDER}/roll-ingesters.sh`);
    const letters = /for zone in ([a-z ]+);/.exec(script)![1]!.split(' ');
    assert.deepEqual(
      letters.map((letter) => `ingester-zone-${letter}`),
      zones.map(nameOf),
    );
  });

  it('have room for their log: twice wal.max_size and hours without the bucket', () => {
    for (const zone of zones) {
      const storage = String(
        at(list(at(zone, 'spec', 'volumeClaimTemplates'))[0], 'spec', 'resources', 'requests', 'storage'),
      );
      assert.ok(Number(/^(\d+)Gi$/.exec(storage)![1]) * 2 ** 30 >= 4 * config.ingester.wal.max_size, storage);
    }
  });
});
