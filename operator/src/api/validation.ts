/**
 * What is refused. The API server holds the resource to the rules of its schema; they are checked here once more, because an
 * object may be older than a rule, and with them what the schema cannot see: the record of ownership, the volumes, values of
 * settings. A resource with refusals is not acted upon at all, never half.
 */
import type { Assignment } from '../../../common/assignment.ts';
import { faultOf, nodeSettings, operatorSettings } from './node-settings.ts';
import { bytesOfQuantity } from './quantity.ts';
import type { SettledSpec } from './sierra-cluster.ts';

/** Closed: programs may match on it. */
export type RefusalReason =
  | 'NodesOutOfRange'
  | 'FactorOutOfRange'
  | 'ZonesWrong'
  | 'BucketsWrong'
  | 'BucketsChanged'
  | 'StorageUnreadable'
  | 'StorageTooSmall'
  | 'StorageShrunk'
  | 'ConfigUnknown'
  | 'ConfigNotYours'
  | 'ConfigWrong'
  | 'LabelsNotYours'
  | 'OverrideNotYours';

export interface Refusal {
  readonly reason: RefusalReason;
  /** What is wrong and what to do, at most 300 characters. */
  readonly message: string;
}

const STORAGE_MIN = '256Mi';

/** Everything that is wrong, the most telling first; empty: the spec is accepted. */
export function refusalsOf(
  spec: SettledSpec,
  /** The record, when the cluster has one. */
  assignment: Assignment | null,
  seen: {
    /** Bytes of the largest volume there is; absent: not known. */
    readonly volumeBytes?: number;
  } = {},
): Refusal[] {
  return [
    ...countFaults(spec),
    ...zoneFaults(spec, assignment),
    ...bucketFaults(spec, assignment),
    ...storageFaults(spec, seen.volumeBytes ?? 0),
    ...Object.entries(spec.config).flatMap(configFault),
    ...labelFaults(spec),
    ...overrideFaults(spec),
  ].map(({ reason, message }) => ({ reason, message: message.slice(0, 300) }));
}

const refusal = (reason: RefusalReason, message: string): Refusal => ({ reason, message });

const isWithin = (value: number, min: number, max: number): boolean =>
  Number.isInteger(value) && value >= min && value <= max;

function countFaults({ nodes, factor }: SettledSpec): Refusal[] {
  // The factor follows the nodes where it is not given.
  if (!isWithin(nodes, 1, 64)) {
    return [refusal('NodesOutOfRange', `nodes must be 1 to 64, but is ${nodes}`)];
  }
  if (!isWithin(factor, 1, 5)) {
    return [refusal('FactorOutOfRange', `replication.factor must be 1 to 5, but is ${factor}`)];
  }
  if (factor <= nodes) return [];
  const message = `replication.factor is ${factor}, and every copy needs a node of its own, but nodes is ${nodes}: raise nodes, or lower the factor`;
  return [refusal('FactorOutOfRange', message)];
}

/** The index of a member tells its zone's place: with other zones it would be another pod. */
function zoneFaults({ zones }: SettledSpec, assignment: Assignment | null): Refusal[] {
  const twice = zones.find((zone, at) => zones.indexOf(zone) !== at);
  if (twice !== undefined) {
    return [refusal('ZonesWrong', `zones names ${twice} twice: name each zone once`)];
  }
  if (zones.length > 16) return [refusal('ZonesWrong', 'zones may be 16 at most')];
  const places = (assignment?.members ?? []).map(({ index }) => Math.floor(index / 100));
  const last = Math.max(0, ...places);
  if (last === 0 || last < zones.length) return [];
  const message = `the record has members in ${last + 1} zones, but zones names ${zones.length}: put back the zones that the cluster was made with`;
  return [refusal('ZonesWrong', message)];
}

function bucketFaults(spec: SettledSpec, assignment: Assignment | null): Refusal[] {
  const { bucketCount, partitionCount } = spec;
  if (!isWithin(bucketCount, 1, 256) || !isWithin(partitionCount, 1, 65_535)) {
    const message = `buckets.count must be 1 to 256 and buckets.partitions 1 to 65535, but they are ${bucketCount} and ${partitionCount}`;
    return [refusal('BucketsWrong', message)];
  }
  if (partitionCount < bucketCount) {
    const message = `buckets.partitions is ${partitionCount}, but each of the ${bucketCount} buckets holds at least one: raise partitions, or lower buckets.count`;
    return [refusal('BucketsWrong', message)];
  }
  if (assignment === null) return [];
  const recorded = `${assignment.bucketCount} buckets and ${assignment.partitionCount} partitions`;
  if (recorded === `${bucketCount} buckets and ${partitionCount} partitions`) return [];
  const message = `the cluster was made with ${recorded}, and events are stored by them: set buckets.count and buckets.partitions to that`;
  return [refusal('BucketsChanged', message)];
}

function storageFaults({ storageSize }: SettledSpec, volumeBytes: number): Refusal[] {
  const bytes = bytesOfQuantity(storageSize);
  if (bytes === null) {
    const message = `storage.size is no quantity: ${storageSize}; write it like 500Mi, 10Gi or 2Ti`;
    return [refusal('StorageUnreadable', message)];
  }
  if (bytes < (bytesOfQuantity(STORAGE_MIN) ?? 0)) {
    const message = `storage.size is ${storageSize}, less than a node needs for its journal: ask for ${STORAGE_MIN} or more`;
    return [refusal('StorageTooSmall', message)];
  }
  if (bytes >= volumeBytes) return [];
  const message = `storage.size is ${storageSize}, but there are volumes of ${volumeBytes} bytes, and volumes cannot shrink: set it to that or more`;
  return [refusal('StorageShrunk', message)];
}

function configFault([key, value]: readonly [string, string | number | boolean]): Refusal[] {
  const instead = Object.hasOwn(operatorSettings, key) ? operatorSettings[key] : undefined;
  if (instead !== undefined) {
    return [refusal('ConfigNotYours', `config: the operator sets ${key}: ${instead}`)];
  }
  const setting = Object.hasOwn(nodeSettings, key) ? nodeSettings[key] : undefined;
  if (setting === undefined) {
    const message = `config: nodes have no setting ${key}: see the table of settings in README.md`;
    return [refusal('ConfigUnknown', message)];
  }
  const fault = faultOf(setting, value);
  return fault === null ? [] : [refusal('ConfigWrong', `config: ${key} ${fault}`)];
}

const ownLabels: readonly string[] = ['name', 'instance', 'managed-by', 'component'].map(
  (name) => `app.kubernetes.io/${name}`,
);

function labelFaults({ pod: { labels = {}, annotations = {} } }: SettledSpec): Refusal[] {
  const keys = [
    ...Object.keys(labels).filter((key) => ownLabels.includes(key) || isOurs(key)),
    ...Object.keys(annotations).filter(isOurs),
  ];
  return keys.map((key) =>
    refusal(
      'LabelsNotYours',
      `pod: the operator sets ${key}, and finds its pods by it: leave it out`,
    ),
  );
}

const isOurs = (key: string): boolean => key.startsWith('sierradb.io/');

/** What a merge patch may not touch, with what to do instead. */
const keptFields: readonly (readonly [path: string, instead: string])[] = [
  ['apiVersion', 'leave it out'],
  ['kind', 'leave it out'],
  ['status', 'leave it out'],
  ['metadata.name', 'the operator finds StatefulSets by name; leave it out'],
  ['metadata.namespace', 'leave it out'],
  ['metadata.ownerReferences', 'they have it deleted with the cluster; leave it out'],
  ['spec.selector', 'leave it out'],
  ['spec.serviceName', 'leave it out'],
  ['spec.ordinals', 'leave it out'],
  ['spec.updateStrategy', 'set updates.strategy'],
  ['spec.podManagementPolicy', 'leave it out'],
  ['spec.replicas', 'set nodes, so that nodes are emptied before they go'],
  ['spec.volumeClaimTemplates', 'set storage'],
  ['spec.persistentVolumeClaimRetentionPolicy', 'set storage.retention'],
  ['spec.template.spec.restartPolicy', 'leave it out'],
  ['spec.template.spec.hostname', 'leave it out'],
  ['spec.template.spec.subdomain', 'leave it out'],
];
/** Fields that hold objects: replaced as a whole, they would take along what is kept in them. */
const keptObjects: readonly string[] = ['metadata', 'spec', 'spec.template', 'spec.template.spec'];

function overrideFaults({ statefulSetOverride: patch }: SettledSpec): Refusal[] {
  if (patch === null) return [];
  const given = keptFields.filter(([path]) => valueAt(patch, path) !== undefined);
  const flat = keptObjects.filter((path) => {
    const value = valueAt(patch, path);
    return (
      value !== undefined && (typeof value !== 'object' || value === null || Array.isArray(value))
    );
  });
  return [
    ...given.map(([path, instead]) =>
      refusal('OverrideNotYours', `overrides.statefulSet may not change ${path}: ${instead}`),
    ),
    ...flat.map((path) =>
      refusal(
        'OverrideNotYours',
        `overrides.statefulSet: ${path} must be an object with what to merge`,
      ),
    ),
    ...overriddenLabels(patch),
  ];
}

/** Labels by which pods and StatefulSets are found. */
function overriddenLabels(patch: Readonly<Record<string, unknown>>): Refusal[] {
  return ['metadata.labels', 'spec.template.metadata.labels'].flatMap((path) => {
    const labels = valueAt(patch, path);
    if (labels === undefined) return [];
    const keys = Object.keys(labels ?? {});
    const own =
      labels === null
        ? 'labels as a whole'
        : keys.find((key) => ownLabels.includes(key) || isOurs(key));
    if (own === undefined) return [];
    const message = `overrides.statefulSet may not change ${path}: the operator finds its objects by ${own}; leave it out`;
    return [refusal('OverrideNotYours', message)];
  });
}

/** Undefined where the path is not there; null where it is to be removed. */
function valueAt(object: unknown, path: string): unknown {
  let value = object;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    if (!Object.hasOwn(value, key)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
