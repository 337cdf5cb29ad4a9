/** What follows from an assignment for one of its members: who is who, and which replicas are here. Values only. */
import {
  assignedGroupId,
  type Assignment,
  digestOf,
  type Member,
  type Replica,
  replicaIdOf,
} from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { assert } from '../../../common/assert.ts';
import { configurationBytes, replicaBytes, replicaText } from '../replication/message-format.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import type { ReplicaPlan } from '../storage/storage.ts';

export class MemberDirectory {
  readonly assignment: Assignment;
  readonly self: Member;
  readonly summary: NonNullable<NodeStatus['assignment']>;
  readonly #members: ReadonlyMap<string, Member>;
  /** By bucket: member ids by replica id. */
  readonly #replicas: readonly ReadonlyMap<ReplicaId, string>[];
  readonly #stays = new Map<string, Replica | null>();

  constructor(assignment: Assignment, member: string) {
    this.assignment = assignment;
    const { clusterId, epoch, version, buckets } = assignment;
    this.summary = { epoch, version, digest: digestOf(assignment) };
    this.#members = new Map(assignment.members.map((each) => [each.id, each]));
    const self = this.#members.get(member);
    assert(self !== undefined, 'a node only follows assignments that name it');
    this.self = self;
    this.#replicas = buckets.map(
      ({ replicas }, bucket) =>
        new Map(
          replicas.map((replica) => [
            replicaText(replicaIdOf(clusterId, bucket, replica)),
            replica.member,
          ]),
        ),
    );
  }

  member(id: string): Member | undefined {
    return this.#members.get(id);
  }

  /** Member id of a replica, also of one that an earlier assignment had; null for one of nobody who is a member now. */
  memberOf(bucket: number, replica: ReplicaId): string | null {
    return this.#replicas[bucket]?.get(replica) ?? this.stayOf(bucket, replica)?.member ?? null;
  }

  /** Whose replica it is and when its stay began. Ids are derived, so that those of earlier assignments can be found. */
  stayOf(bucket: number, replica: ReplicaId): Replica | null {
    const key = `${bucket}/${replica}`;
    const known = this.#stays.get(key);
    if (known !== undefined) return known;
    const { clusterId, version, members } = this.assignment;
    const bytes = replicaBytes(replica);
    let found: Replica | null = null;
    for (let since = version; since > 0 && found === null; since -= 1) {
      for (const { id: member } of members) {
        const stay = { member, since };
        if (bytes.equals(replicaIdOf(clusterId, bucket, stay))) found = stay;
      }
    }
    this.#stays.set(key, found);
    return found;
  }

  /** Replicas that hold a bucket by the assignment. */
  assigned(bucket: number): ReplicaId[] {
    return [...(this.#replicas[bucket]?.keys() ?? [])];
  }

  /** This member's stay in a bucket by the assignment, or null. */
  ownStay(bucket: number): Replica | null {
    const { replicas = [] } = this.assignment.buckets[bucket] ?? {};
    return replicas.find(({ member }) => member === this.self.id) ?? null;
  }

  /** The replica that should lead a bucket while it is well. */
  preferredReplica(bucket: number): ReplicaId | null {
    const preferred = this.assignment.buckets[bucket]?.preferred;
    const found = [...(this.#replicas[bucket] ?? [])].find(([, member]) => member === preferred);
    return found?.[0] ?? null;
  }

  /** What a new directory of this member holds. */
  plans(): ReplicaPlan[] {
    return this.#replicas.flatMap((_, bucket) => this.planOf(bucket) ?? []);
  }

  /** What this member's replica of a bucket is made with, or null where it has none. */
  planOf(bucket: number): ReplicaPlan | null {
    const own = this.ownStay(bucket);
    if (own === null) return null;
    const { assignment } = this;
    // Only the first assignment is how groups begin. Later, a replica learns from a leader to which group it belongs: one that
    // took later holders for the group could be elected by less than a majority.
    const voters = assignment.version === 1 ? this.assigned(bucket) : [];
    return {
      bucket,
      replicaId: replicaIdOf(assignment.clusterId, bucket, own),
      groupId: assignedGroupId(assignment, bucket),
      configuration: configurationBytes({ voters, outgoing: [], learners: [] }),
    };
  }
}
