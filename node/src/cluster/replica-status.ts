import type {
  FollowerProgress,
  MoveProgress,
  ReplicaStatus,
} from '../../../common/cluster-contract.ts';
import type { RaftGroup } from '../replication/raft-group.ts';
import { membersOf } from '../replication/raft/configuration.ts';
import type { Progress } from '../replication/raft/progress.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import type { MemberDirectory } from './member-directory.ts';

/** What `GET /v1/status` says of a replica. Replicas that the assignment does not have stand under their replica ids. */
export function replicaStatus(
  group: RaftGroup,
  directory: MemberDirectory,
  move?: MoveProgress,
): ReplicaStatus {
  const { log, core, replicaId } = group;
  const { bucket } = log;
  const nameOf = (replica: ReplicaId): string => directory.memberOf(bucket, replica) ?? replica;
  const { voters, outgoing, learners } = core.configuration;
  return {
    bucket,
    replica: replicaId,
    role: roleOf(group),
    term: core.term,
    leader: group.leader === null ? null : nameOf(group.leader),
    commit: core.commit,
    applied: group.appliedIndex,
    last: log.endIndex,
    voters: [...new Set([...voters, ...outgoing])].map(nameOf),
    learners: learners.map(nameOf),
    ...(outgoing.length > 0 && {
      joint: { incoming: voters.map(nameOf), outgoing: outgoing.map(nameOf) },
    }),
    health: log.quarantined ? 'quarantined' : 'ok',
    lag: lagOf(group, nameOf),
    ...committedOf(core),
    ...(move !== undefined && { move }),
    ...(core.leadership !== null && { progress: progressOf(group, nameOf) }),
  };
}

/** An index without an entry is where the log begins. */
function committedOf({ configurations }: RaftGroup['core']): Pick<ReplicaStatus, 'committed'> {
  const [committed] = configurations;
  if (committed === undefined) return {};
  const { index, configuration } = committed;
  return { committed: { index, replicas: membersOf(configuration) } };
}

/** What a replica does. */
export function roleOf({ state, core, replicaId }: RaftGroup): ReplicaStatus['role'] {
  if (state === 'leading') return 'leader';
  if (state !== 'following') return state;
  if (core.configuration.learners.includes(replicaId)) return 'learner';
  // A leader whose first entry is not committed answers nothing yet.
  return core.role === 'follower' ? 'follower' : 'candidate';
}

function lagOf(group: RaftGroup, nameOf: (replica: ReplicaId) => string): Record<string, number> {
  const { endIndex } = group.log;
  return Object.fromEntries(
    followersOf(group).map(([id, { match }]) => [nameOf(id), endIndex - match]),
  );
}

function progressOf(
  group: RaftGroup,
  nameOf: (replica: ReplicaId) => string,
): Record<string, FollowerProgress> {
  return Object.fromEntries(followersOf(group).map(([id, { state }]) => [nameOf(id), state]));
}

/** The other replicas as their leader sees them; of a follower, none. */
export function followersOf({ core, replicaId }: RaftGroup): [ReplicaId, Progress][] {
  const { leadership } = core;
  return [...(leadership?.followers() ?? [])].flatMap((id) => {
    const progress = id === replicaId ? undefined : leadership?.progress(id);
    return progress === undefined ? [] : [[id, progress]];
  });
}
