/** What was observed, arranged for the planner: places, members, and what nodes say, by whatever it is asked for. Values only. */
import type { Assignment, Member } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { type NodePlace, nthPlace, placeAt } from '../resources/names.ts';
import { type BucketHealth, bucketHealth } from './bucket-health.ts';
import type { Observed, ObservedClaim, ObservedNode, ObservedPod } from './types.ts';

export class ClusterView {
  readonly observed: Observed;
  /** Places that the spec asks for, in order. */
  readonly wanted: readonly NodePlace[];
  /** Of nodes that answer and are where they think they are, by member id. */
  readonly statuses: ReadonlyMap<string, NodeStatus>;
  readonly #wanted: ReadonlySet<number>;
  readonly #pods: ReadonlyMap<number, ObservedPod>;
  readonly #claims: ReadonlyMap<number, ObservedClaim>;
  readonly #nodes: ReadonlyMap<number, ObservedNode>;
  #health: readonly BucketHealth[] | null = null;

  constructor(observed: Observed) {
    this.observed = observed;
    const { spec, pods, claims, nodes } = observed;
    this.wanted = Array.from({ length: spec.nodes }, (_, n) => nthPlace(observed, spec.zones, n));
    this.#wanted = new Set(this.wanted.map(({ index }) => index));
    this.#pods = new Map(pods.map((pod) => [pod.place.index, pod]));
    this.#claims = new Map(claims.map((claim) => [claim.place.index, claim]));
    this.#nodes = new Map(nodes.map((node) => [node.place.index, node]));
    this.statuses = new Map(
      nodes.flatMap(({ place, status }) =>
        status?.index === place.index ? [[status.member, status]] : [],
      ),
    );
  }

  get record(): Assignment | null {
    return this.observed.assignment;
  }

  isWanted(index: number): boolean {
    return this.#wanted.has(index);
  }

  placeAt(index: number): NodePlace {
    return placeAt(this.observed, this.observed.spec.zones, index);
  }

  pod(index: number): ObservedPod | undefined {
    return this.#pods.get(index);
  }

  claim(index: number): ObservedClaim | undefined {
    return this.#claims.get(index);
  }

  node(index: number): ObservedNode | undefined {
    return this.#nodes.get(index);
  }

  /** What the node at a place says; null: nothing. */
  statusAt(index: number): NodeStatus | null {
    const status = this.#nodes.get(index)?.status ?? null;
    return status?.index === index ? status : null;
  }

  membersAt(index: number): Member[] {
    return (this.record?.members ?? []).filter((member) => member.index === index);
  }

  hasMemberAt(index: number): boolean {
    return (this.record?.members ?? []).some((member) => member.index === index);
  }

  /** The member answers and follows the record. */
  isCurrent(id: string): boolean {
    const { record } = this;
    const status = this.statuses.get(id);
    if (!status?.assignment || status.cluster !== record?.clusterId) return false;
    return status.assignment.version === record.version && status.assignment.epoch === record.epoch;
  }

  /** Its disk ends with its pod: somebody has deleted the claim. */
  isDoomed(id: string): boolean {
    const status = this.statuses.get(id);
    return status !== undefined && this.claim(status.index)?.isTerminating === true;
  }

  /** What a member that answers follows, where it is not the record. */
  followedBy(id: string): Assignment | null {
    const status = this.statuses.get(id);
    return status === undefined ? null : (this.#nodes.get(status.index)?.assignment ?? null);
  }

  /**
   * Members of the record that another one, which somebody follows, has struck out: a record that was lost meanwhile knew more. Who
   * follows it takes none that names them.
   */
  get condemned(): ReadonlySet<string> {
    const { record } = this;
    const followed = (record?.members ?? []).flatMap(({ id }) => this.followedBy(id) ?? []);
    const own = followed.filter(({ clusterId }) => clusterId === record?.clusterId);
    return new Set(own.flatMap(({ removed }) => removed));
  }

  /** By bucket of the record. */
  get health(): readonly BucketHealth[] {
    const { record } = this;
    this.#health ??= (record?.buckets ?? []).map((_, bucket) =>
      bucketHealth(bucket, record as Assignment, this.statuses),
    );
    return this.#health;
  }

  podOf(id: string): ObservedPod | undefined {
    const index = this.#indexOf(id);
    return index === undefined ? undefined : this.pod(index);
  }

  /** The name that the pod of a member has, whether it is there or not; the id of whoever is no member. */
  nameOf(id: string): string {
    const index = this.#indexOf(id);
    return index === undefined ? id : this.placeAt(index).pod;
  }

  #indexOf(id: string): number | undefined {
    return this.record?.members.find((member) => member.id === id)?.index;
  }
}

/** A disk that belongs to no cluster yet. */
export const isFresh = ({ cluster, assignment }: NodeStatus): boolean =>
  cluster === null && assignment === null;

/** Of two at one place the later one: the disk of the other is gone. */
export const latest = (members: readonly Member[]): Member[] =>
  members.filter(({ index }, at) => !members.slice(at + 1).some((other) => other.index === index));
