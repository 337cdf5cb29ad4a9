/** The state of a cluster for people and for programs. */
import type { FollowerProgress, NodeStatus, ReplicaStatus } from '../common/cluster-contract.ts';
import type { MemberStatus } from './cluster-requests.ts';
import { printableText } from './printable.ts';

/** A bucket as its replicas tell of it. */
interface BucketView {
  readonly bucket: number;
  /** Member id, null where nobody leads. */
  readonly leader: string | null;
  readonly term: number;
  /** The leader's, or the highest that is known. */
  readonly commit: number;
  readonly replicas: readonly ReplicaView[];
}

interface ReplicaView {
  readonly member: string;
  readonly role: ReplicaStatus['role'] | 'unreachable';
  /** Entries that it lacks of the leader's log; null where that is not known. */
  readonly lag: number | null;
  /** How the leader brings it up to date; null for the leader, and where that is not known. */
  readonly progress: FollowerProgress | null;
  readonly health: ReplicaStatus['health'] | null;
}

export function clusterJson(first: NodeStatus, members: readonly MemberStatus[]): string {
  const { cluster, assignment, bucketCount, partitionCount } = first;
  return JSON.stringify({
    ...{ cluster, assignment, bucketCount, partitionCount },
    members: members.map(({ id, index, address, status, error }) => ({
      ...{ id, index, address },
      state: status?.state ?? 'unreachable',
      version: status?.version,
      boot: status?.boot,
      assignment: status?.assignment ?? undefined,
      error: error ?? undefined,
    })),
    buckets: bucketsOf(members),
  });
}

export function clusterTable(first: NodeStatus, members: readonly MemberStatus[]): string {
  const { cluster, assignment, bucketCount, partitionCount } = first;
  const name = new Map(members.map(({ id, index }) => [id, `node ${index}`]));
  const nameOf = (member: string): string => name.get(member) ?? printableText(member);
  const buckets = bucketsOf(members);
  const head = [
    `cluster     ${cluster === null ? 'none yet: the nodes are forming' : printableText(cluster)}`,
    ...(assignment === null
      ? []
      : [`assignment  version ${assignment.version}, epoch ${assignment.epoch}`]),
    `partitions  ${partitionCount} in ${bucketCount} buckets`,
  ];
  const memberRows = [...members]
    .sort((a, b) => a.index - b.index)
    .map((member) => memberRow(member, buckets));
  const parts = [
    head.join('\n'),
    columns([
      ['node', 'address', 'state', 'leads', 'behind', 'start', 'version', 'member'],
      ...memberRows,
    ]),
  ];
  if (buckets.length > 0) {
    const rows = buckets.map((bucket) => bucketRow(bucket, nameOf));
    parts.push(columns([['bucket', 'leader', 'term', 'committed', 'behind', 'replicas'], ...rows]));
  }
  return parts.join('\n\n');
}

function memberRow(
  { id, index, address, status, error }: MemberStatus,
  buckets: readonly BucketView[],
): string[] {
  const leads = buckets.filter(({ leader }) => leader === id).length;
  const replicas = buckets.flatMap((bucket) =>
    bucket.replicas.filter(({ member }) => member === id),
  );
  const state = status?.state ?? `unreachable: ${error ?? ''}`;
  const held = status?.buckets.length ?? 0;
  return [
    ...[String(index), address, state],
    ...(status === null
      ? ['', behindText(replicas), '', '']
      : [`${leads} of ${held}`, behindText(replicas), String(status.boot), status.version]),
    id,
  ].map(printableText);
}

function bucketRow(
  { bucket, leader, term, commit, replicas }: BucketView,
  nameOf: (member: string) => string,
): string[] {
  return [
    String(bucket),
    leader === null ? 'nobody' : nameOf(leader),
    String(term),
    commit.toLocaleString('en-US'),
    behindText(replicas),
    replicas.map((replica) => replicaText(replica, nameOf(replica.member))).join(', '),
  ];
}

/** Entries that the one which lacks most lacks of its leader's log. */
function behindText(replicas: readonly ReplicaView[]): string {
  const lags = replicas.flatMap(({ lag }) => lag ?? []);
  return lags.length === 0 ? '' : Math.max(...lags).toLocaleString('en-US');
}

/** What is as it should be is not worth a word. */
function replicaText({ role, lag, progress, health }: ReplicaView, name: string): string {
  const notes = [
    ...(role === 'leader' || role === 'follower' ? [] : [role]),
    ...(health === 'quarantined' ? ['quarantined'] : []),
    ...(progress === null || progress === 'stream' || role === 'unreachable'
      ? []
      : [progressTexts[progress]]),
    ...(lag === null || lag === 0 ? [] : [`${lag.toLocaleString('en-US')} behind`]),
  ];
  return notes.length === 0 ? name : `${name} (${notes.join(', ')})`;
}

/** Of what takes a while; entries are sent as they come. */
const progressTexts: Readonly<Record<Exclude<FollowerProgress, 'stream'>, string>> = {
  probe: 'waiting to hear of it',
  copy: 'copies segments',
};

function bucketsOf(members: readonly MemberStatus[]): BucketView[] {
  const told = new Map<number, { member: string; replica: ReplicaStatus }[]>();
  for (const { id: member, status } of members) {
    for (const replica of status?.buckets ?? []) {
      const known = told.get(replica.bucket) ?? [];
      told.set(replica.bucket, [...known, { member, replica }]);
    }
  }
  return [...told]
    .sort(([a], [b]) => a - b)
    .map(([bucket, replicas]) => bucketView(bucket, replicas));
}

function bucketView(
  bucket: number,
  told: readonly { readonly member: string; readonly replica: ReplicaStatus }[],
): BucketView {
  const byTerm = [...told].sort((a, b) => b.replica.term - a.replica.term);
  // One that was cut off may still think that it leads; the latest term is right.
  const leader = byTerm.find(({ replica }) => replica.role === 'leader') ?? null;
  const { voters, learners } = (leader ?? byTerm[0])?.replica ?? { voters: [], learners: [] };
  return {
    bucket,
    leader: leader?.member ?? null,
    term: byTerm[0]?.replica.term ?? 0,
    commit: leader?.replica.commit ?? Math.max(...told.map(({ replica }) => replica.commit)),
    replicas: [...voters, ...learners].map((member) => {
      const own = told.find((each) => each.member === member)?.replica;
      return {
        member,
        role: own?.role ?? 'unreachable',
        lag: leader?.member === member ? 0 : (leader?.replica.lag[member] ?? null),
        progress: leader?.replica.progress?.[member] ?? null,
        health: own?.health ?? null,
      };
    }),
  };
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) =>
    Math.max(...rows.map((row) => (row[i] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
