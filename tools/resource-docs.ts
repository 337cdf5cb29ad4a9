/** The tables of docs/kubernetes.md: fields of the resource from its definition, conditions with their reasons. */
import { type Schema, specSchema, statusSchema } from '../operator/src/api/testing/definition.ts';
import type { ConditionType } from '../operator/src/api/sierra-cluster.ts';
import type { RefusalReason } from '../operator/src/api/validation.ts';
import { type ReasonOf, reasons } from '../operator/src/status/reasons.ts';
import { code, table } from './markdown.ts';

export function specTable(): string {
  const rows = rowsOf(specSchema).map(([path, type, value, doc]) => [path, type, value, doc]);
  return table(['field', 'type', 'default', 'what it does'], rows);
}

/** What is inside the record is for nodes and programs. */
export function statusTable(): string {
  const rows = rowsOf(statusSchema).map(([path, type, , doc]) => [path, type, doc]);
  return table(['field', 'type', 'what it says'], rows);
}

type Row = readonly [path: string, type: string, value: string, doc: string];

function rowsOf(of: Schema, path = ''): Row[] {
  return Object.entries(of.properties ?? {}).flatMap(([name, inner]) => {
    const at = `${path}${name}`;
    const doc = inner.description ?? '';
    // What may not be overridden stands there to be refused.
    if (doc === 'Refused.') return [];
    const own: Row[] = doc === '' ? [] : [[code(at), typeOf(inner), defaultOf(inner), doc]];
    return [...own, ...rowsOf(inner, `${at}.`), ...rowsOf(inner.items ?? {}, `${at}[].`)];
  });
}

function typeOf(of: Schema): string {
  if (of.enum !== undefined) return of.enum.map(code).join(', ');
  if (of.type === 'array') return `list of ${of.items?.type ?? ''}s`;
  if (of.additionalProperties !== undefined) return 'map';
  return of.type ?? '';
}

/** That of an object are the defaults of its parts. */
function defaultOf({ default: value, type }: Schema): string {
  return value === undefined || type === 'object' ? '' : code(JSON.stringify(value));
}

const questions: Readonly<Record<ConditionType, string>> = {
  SpecAccepted: 'Can the operator do what the spec asks for? While False, nothing is changed.',
  Available: 'Has every bucket a leader that a majority follows?',
  Progressing: 'Is something being done?',
  Degraded: 'Would less have to fail than should before something stands still?',
  Ready: 'Does it serve, and is nothing left to do? The one to wait for.',
  UpToDate: 'Are all pods of the latest template?',
  Paused: 'Is `spec.paused` true?',
};

type Meanings<T extends ConditionType> = Readonly<Record<ReasonOf<T>, string>>;

const refusals: Readonly<Record<RefusalReason, string>> = {
  NodesOutOfRange: '`nodes` is not 1 to 64.',
  FactorOutOfRange: '`replication.factor` is not 1 to 5, or larger than `nodes`.',
  ZonesWrong: 'A zone is named twice, or members are in zones that are not named any more.',
  BucketsWrong: 'A count is out of range, or there are fewer partitions than buckets.',
  BucketsChanged: 'The cluster was made with other counts: set those.',
  StorageUnreadable: '`storage.size` is no quantity.',
  StorageTooSmall: '`storage.size` is less than a node needs.',
  StorageShrunk: '`storage.size` is less than the volumes have.',
  ConfigUnknown: '`config` has a setting that nodes do not have.',
  ConfigNotYours: '`config` has a setting that the operator makes.',
  ConfigWrong: '`config` has a value that nodes would refuse.',
  LabelsNotYours: '`pod` has a label or annotation of the operator.',
  OverrideNotYours: '`overrides` changes what the operator relies on.',
};

const meanings: { readonly [T in ConditionType]: Meanings<T> } = {
  SpecAccepted: {
    Accepted: 'It can.',
    FewBuckets:
      'It can, but some nodes will lead or hold nothing: there are more nodes than buckets.',
    ...refusals,
  },
  Available: {
    AllBucketsLed: 'All have.',
    BucketsWithoutLeader:
      'Some have none: clients wait there. [What to do](runbook.md#buckets-have-no-leader).',
    NodesSilent:
      'Nodes do not answer the operator. [What to do](runbook.md#nodes-do-not-answer-the-operator).',
    NotFormed: 'The cluster is being made.',
  },
  Progressing: {
    Settled: 'Nothing is left to do.',
    Paused: 'Nothing is done while it is paused.',
    SpecRefused: 'Nothing is done before the spec is mended.',
    RolloutStopped:
      'Pods of the new template did not become ready. [What to do](runbook.md#an-update-has-stopped).',
    Forming: 'The first nodes become a cluster.',
    ScalingDown: 'Nodes are emptied before they are removed.',
    MovingBuckets: 'Buckets are on their way.',
    Updating: 'Pods are replaced one at a time.',
    GrowingVolumes: 'Volumes become larger.',
    Working: 'Something else; `status.plan` says what.',
  },
  Degraded: {
    AllCopiesHealthy: 'Nothing is amiss.',
    MemberLost:
      'A disk, or the machine of a node, is gone. [What to do](runbook.md#a-machine-or-a-volume-is-gone).',
    ReplicaDamaged:
      'A copy does not have the bytes that were written. [What to do](runbook.md#a-bucket-is-quarantined).',
    ClaimInTrouble:
      'Somebody has deleted a volume claim that is in use. [What to do](runbook.md#a-machine-or-a-volume-is-gone).',
    PodInTrouble:
      'A pod does not run: its image, its place or itself. [What to do](runbook.md#a-pod-does-not-run).',
    PodBeingReplaced: 'A copy fewer, while a pod is replaced.',
    TooFewCopies: 'Copies are missing or behind. [What to do](runbook.md#a-node-is-down).',
    NodesSilent:
      'Nodes do not answer the operator. [What to do](runbook.md#nodes-do-not-answer-the-operator).',
    NotFormed: 'The cluster is being made.',
  },
  UpToDate: {
    AllPodsCurrent: 'All are.',
    PodsMissing: 'Pods are being made.',
    PodsOutdated: 'They are replaced one at a time.',
    ManualUpdate: '`updates.strategy` is Manual: delete the pods, one by one.',
    RolloutStopped:
      'Pods of the new template did not become ready. [What to do](runbook.md#an-update-has-stopped).',
    Paused: 'Nothing is replaced while it is paused.',
    SpecRefused: 'Nothing is replaced before the spec is mended.',
  },
  Ready: {
    Ready: 'It does, and nothing is.',
    SpecRefused: 'See SpecAccepted.',
    NotAvailable: 'See Available.',
    Progressing: 'See Progressing.',
    NotUpToDate: 'See UpToDate.',
    NotKnown: 'Nodes do not answer the operator.',
  },
  Paused: { Paused: 'It is.', NotPaused: 'It is not.' },
};

/** One table of all conditions. */
export function conditionsTable(): string {
  const rows = Object.entries(reasons).flatMap(([type, list]) => {
    const of: Readonly<Record<string, string>> = meanings[type as ConditionType];
    const all = type === 'SpecAccepted' ? [...list, ...Object.keys(refusals)] : list;
    return [
      [`**${type}**`, '', questions[type as ConditionType]],
      ...all.map((reason) => ['', code(reason), of[reason] ?? '']),
    ];
  });
  return table(['condition', 'reason', 'meaning'], rows);
}
