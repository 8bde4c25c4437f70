/**
 * Makes kubernetes.json anew from the types of Kubernetes' own client, which its authors generate from the API's description:
 *
 *   npm pack @kubernetes/client-node && tar xzf kubernetes-client-node-*.tgz
 *   node test/deploy/schemas/kubernetes-from-client.ts package
 *
 * Only what the kinds below consist of is kept, and no `status`, which no manifest has.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const KINDS: Readonly<Record<string, string>> = {
  'v1 ConfigMap': 'V1ConfigMap',
  'v1 Namespace': 'V1Namespace',
  'v1 Secret': 'V1Secret',
  'v1 Service': 'V1Service',
  'v1 ServiceAccount': 'V1ServiceAccount',
  'apps/v1 Deployment': 'V1Deployment',
  'apps/v1 StatefulSet': 'V1StatefulSet',
  'autoscaling/v2 HorizontalPodAutoscaler': 'V2HorizontalPodAutoscaler',
  'networking.k8s.io/v1 NetworkPolicy': 'V1NetworkPolicy',
  'policy/v1 PodDisruptionBudget': 'V1PodDisruptionBudget',
};

const folder = process.argv[2];
if (folder === undefined) throw new Error('usage: kubernetes-from-client.ts <unpacked @kubernetes/client-node>');
const models = join(folder, 'dist', 'gen', 'models');
const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
  string,
  string
>;

const types: Record<string, Record<string, string>> = {};
const waiting = Object.values(KINDS);
let release = '';
for (let type = waiting.pop(); type !== undefined; type = waiting.pop()) {
  if (types[type] !== undefined) continue;
  const declared = readFileSync(join(models, `${type}.d.ts`), 'utf8');
  release = /OpenAPI spec version: (\S+)/.exec(declared)?.[1] ?? release;
  const required = new Set([...declared.matchAll(/^ {4}'([^']+)': /gm)].map((match) => match[1]));
  const code = readFileSync(join(models, `${type}.js`), 'utf8');
  const fields: Record<string, string> = {};
  for (const match of code.matchAll(/"name": "([^"]+)",\s+"baseName": "([^"]+)",\s+"type": "([^"]+)"/g)) {
    const [, property, inYaml, fieldType] = match as unknown as [string, string, string, string];
    if (inYaml === 'status') continue;
    fields[inYaml] = required.has(property) ? `${fieldType}!` : fieldType;
    waiting.push(...[...fieldType.matchAll(/\bV\d\w+/g)].map(([used]) => used));
  }
  types[type] = fields;
}
const sorted = Object.fromEntries(Object.entries(types).sort(([a], [b]) => (a < b ? -1 : 1)));
const notice = `From ${name} ${version} (${license}, © The Kubernetes Authors), API ${release}; made by kubernetes-from-client.ts.`;
writeFileSync(
  join(import.meta.dirname, 'kubernetes.json'),
  `${JSON.stringify({ notice, kinds: KINDS, types: sorted }, null, 2)}\n`,
);
