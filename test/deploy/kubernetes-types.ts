/** Manifests against the types of Kubernetes' API: fields that it does not know, that are missing, or of another type. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isObject, type Json, type JsonObject } from './deploy-files.ts';

interface KubernetesTypes {
  /** "apiVersion kind" to the name of its type. */
  readonly kinds: Readonly<Record<string, string>>;
  /** Type to its fields, each with its type; `!` at the end: must be there. */
  readonly types: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const { kinds, types } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'schemas', 'kubernetes.json'), 'utf8'),
) as KubernetesTypes;

/** Fields whose few values the API's description names in words only. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  'V1Container.imagePullPolicy': ['Always', 'IfNotPresent', 'Never'],
  'V1ContainerPort.protocol': ['TCP', 'UDP', 'SCTP'],
  'V1DeploymentStrategy.type': ['Recreate', 'RollingUpdate'],
  'V1LabelSelectorRequirement.operator': ['In', 'NotIn', 'Exists', 'DoesNotExist'],
  'V1PodSecurityContext.fsGroupChangePolicy': ['Always', 'OnRootMismatch'],
  'V1SeccompProfile.type': ['RuntimeDefault', 'Localhost', 'Unconfined'],
  'V1ServiceSpec.type': ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'],
  'V1StatefulSetPersistentVolumeClaimRetentionPolicy.whenDeleted': ['Retain', 'Delete'],
  'V1StatefulSetPersistentVolumeClaimRetentionPolicy.whenScaled': ['Retain', 'Delete'],
  'V1StatefulSetSpec.podManagementPolicy': ['OrderedReady', 'Parallel'],
  'V1StatefulSetUpdateStrategy.type': ['OnDelete', 'RollingUpdate'],
  'V1TopologySpreadConstraint.whenUnsatisfiable': ['DoNotSchedule', 'ScheduleAnyway'],
  'V2MetricTarget.type': ['Utilization', 'Value', 'AverageValue'],
};
/** https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
const QUANTITY = /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/;
const QUANTITIES = new Set([
  'V1EmptyDirVolumeSource.sizeLimit',
  'V1ResourceRequirements.limits',
  'V1ResourceRequirements.requests',
  'V1VolumeResourceRequirements.limits',
  'V1VolumeResourceRequirements.requests',
]);

export function manifestViolations(manifest: JsonObject): string[] {
  const kind = `${manifest['apiVersion']} ${manifest['kind']}`;
  const type = kinds[kind];
  return type === undefined ? [`${kind}: is not in schemas/kubernetes.json`] : checkObject(type, manifest, '');
}

function checkObject(type: string, value: Json, path: string): string[] {
  if (!isObject(value)) return [`${path}: is no object`];
  const fields = types[type];
  if (fields === undefined) throw new Error(`schemas/kubernetes.json lacks ${type}`);
  const missing = Object.entries(fields)
    .filter(([name, field]) => field.endsWith('!') && value[name] === undefined)
    .map(([name]) => `${path}: lacks ${name}`);
  const wrong = Object.entries(value).flatMap(([name, inner]) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) return [`${path}/${name}: ${type} has no such field`];
    return [
      ...checkType(field.replace(/!$/, ''), inner, `${path}/${name}`),
      ...checkValue(`${type}.${name}`, inner, `${path}/${name}`),
    ];
  });
  return [...missing, ...wrong];
}

function checkType(type: string, value: Json, path: string): string[] {
  const item = /^Array<(.+)>$/.exec(type)?.[1];
  if (item !== undefined) {
    if (!Array.isArray(value)) return [`${path}: is no list`];
    return value.flatMap((inner, i) => checkType(item, inner, `${path}/${i}`));
  }
  const member = /^\{ \[key: string\]: (.+); \}$/.exec(type)?.[1];
  if (member !== undefined) {
    if (!isObject(value)) return [`${path}: is no map`];
    return Object.entries(value).flatMap(([name, inner]) => checkType(member, inner, `${path}/${name}`));
  }
  switch (type) {
    case 'string':
    case 'boolean':
      return typeof value === type ? [] : [`${path}: is no ${type}`];
    case 'number':
      return Number.isInteger(value) ? [] : [`${path}: is no whole number`];
    case 'IntOrString':
      return Number.isInteger(value) || typeof value === 'string' ? [] : [`${path}: is neither number nor text`];
    case 'object':
      return isObject(value) ? [] : [`${path}: is no object`];
    default:
      return checkObject(type, value, path);
  }
}

function checkValue(field: string, value: Json, path: string): string[] {
  const allowed = VALUES[field];
  if (allowed !== undefined && !allowed.includes(value as string)) return [`${path}: is none of ${allowed.join(', ')}`];
  if (!QUANTITIES.has(field)) return [];
  const quantities = isObject(value) ? Object.values(value) : [value];
  return quantities.filter((text) => !QUANTITY.test(`${text}`)).map((text) => `${path}: ${text} is no quantity`);
}
