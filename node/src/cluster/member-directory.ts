/** What follows from an assignment for one of its members: who is who, and which replicas are here. Values only. */
import {
  assignedGroupId,
  type Assignment,
  digestOf,
  type Member,
  replicaIdOf,
} from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { assert } from '../../../common/assert.ts';
import { configurationBytes, replicaText } from '../replication/message-format.ts';
import type { ReplicaId } from '../replication/raft/types.ts';
import type { ReplicaPlan } from '../storage/storage.ts';

export class MemberDirectory {
  readonly assignment: Assignment;
  readonly self: Member;
  readonly summary: NonNullable<NodeStatus['assignment']>;
  readonly #members: ReadonlyMap<string, Member>;
  /** By bucket: member ids by replica id. */
  readonly #replicas: readonly ReadonlyMap<ReplicaId, string>[];

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

  /** Member id of a replica, null for one that the assignment does not have. */
  memberOf(bucket: number, replica: ReplicaId): string | null {
    return this.#replicas[bucket]?.get(replica) ?? null;
  }

  /** The replica that should lead a bucket while it is well. */
  preferredReplica(bucket: number): ReplicaId | null {
    const preferred = this.assignment.buckets[bucket]?.preferred;
    const found = [...(this.#replicas[bucket] ?? [])].find(([, member]) => member === preferred);
    return found?.[0] ?? null;
  }

  /** What a new directory of this member holds. */
  plans(): ReplicaPlan[] {
    return this.#replicas.flatMap((replicas, bucket) => {
      const own = [...replicas].find(([, member]) => member === this.self.id);
      if (own === undefined) return [];
      const configuration = { voters: [...replicas.keys()], outgoing: [], learners: [] };
      return [
        {
          bucket,
          replicaId: Buffer.from(own[0], 'hex'),
          groupId: assignedGroupId(this.assignment, bucket),
          configuration: configurationBytes(configuration),
        },
      ];
    });
  }

  /** Buckets of which this member has no replica. */
  get lacksBuckets(): boolean {
    const isHere = (replicas: ReadonlyMap<ReplicaId, string>): boolean =>
      [...replicas.values()].includes(this.self.id);
    return !this.#replicas.every(isHere);
  }
}
