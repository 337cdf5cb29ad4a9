/**
 * A cluster on Kubernetes, as far as the operator can see and change it. Time goes in steps; what happens in one, and how long
 * things take, is luck. Nothing here knows what the planner thinks.
 */
import type { Assignment } from '../../common/assignment.ts';
import type { RolloutStatus, SettledSpec } from '../../operator/src/api/sierra-cluster.ts';
import type { Observed } from '../../operator/src/plan/index.ts';
import {
  type NodePlace,
  nthPlace,
  placeAt,
  ZONE_ORDINALS,
} from '../../operator/src/resources/names.ts';
import type { Chance } from './chance.ts';
import type { Live } from './group.ts';
import { Kubernetes, type ModelPod } from './kubernetes.ts';
import { type Cluster, digest, type ModelNode } from './node.ts';
import type { Group } from './group.ts';
import { isJoint } from '../../node/src/replication/raft/configuration.ts';

export const STEP_MS = 5000;
const DRAIN_MS = 5 * 60_000;
const OWN = { name: 'm', namespace: 'n' };

export interface Wanted {
  readonly spec: SettledSpec;
  readonly revision: string;
  readonly storageBytes: number;
}

/** What the operator keeps in the resource's status. */
export interface ModelStatus {
  assignment: Assignment | null;
  rollout: RolloutStatus | null;
  resourceVersion: number;
}

export class World {
  readonly kubernetes: Kubernetes;
  readonly groups: Map<number, Group> = new Map();
  readonly status: ModelStatus = { assignment: null, rollout: null, resourceVersion: 1 };
  /** What was recorded, oldest first. */
  readonly history: Assignment[] = [];
  wanted: Wanted;
  nowMs: number = Date.parse('2030-01-01T00:00:00Z');
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #live = new Map<string, Live>();

  constructor(wanted: Wanted, chance: Chance) {
    this.wanted = wanted;
    this.#chance = chance;
    const { bucketCount, partitionCount, zones } = wanted.spec;
    this.#cluster = {
      ...{ counts: { bucketCount, partitionCount }, groups: this.groups, live: this.#live },
      ...{ diskOf: new Map(), nodes: () => this.nodes },
    };
    const names = new Map(zones.map((_, zone) => [`${OWN.name}-z${String(zone)}`, zone]));
    this.kubernetes = new Kubernetes(
      chance,
      (set, at) => placeAt(OWN, zones, (names.get(set) ?? 0) * ZONE_ORDINALS + at),
      () => this.#cluster,
    );
  }

  get nodes(): ModelNode[] {
    return [...this.kubernetes.pods.values()].flatMap(({ node }) => node ?? []);
  }

  placeAt(index: number): NodePlace {
    return placeAt(OWN, this.wanted.spec.zones, index);
  }

  get wantedPlaces(): NodePlace[] {
    const { nodes, zones } = this.wanted.spec;
    return Array.from({ length: nodes }, (_, n) => nthPlace(OWN, zones, n));
  }

  step(): void {
    this.nowMs += STEP_MS;
    this.kubernetes.step(this.nowMs);
    for (const node of this.nodes) {
      if (this.nowMs >= node.drainEndMs) node.isDraining = false;
      node.tend(() => this.#chance.of(40));
      if (this.#chance.of(30)) this.#passOn(node);
      if (!node.isConnected) node.stepDown();
    }
    this.refresh();
    for (const group of this.groups.values()) {
      group.step(this.#live, this.#cluster.diskOf, this.#chance);
    }
    for (const pod of this.kubernetes.pods.values()) {
      if (this.isPodReady(pod)) pod.readyMs = this.nowMs;
    }
  }

  /** Who is there, after something has changed by force. */
  refresh(): void {
    this.#live.clear();
    for (const node of this.nodes) {
      node.moving = 0;
      if (!node.isConnected) continue;
      for (const replica of node.disk.replicas.values())
        this.#live.set(replica.id, { node, replica });
    }
    for (const { leader, configuration } of this.groups.values()) {
      const led = leader === null ? undefined : this.#live.get(leader);
      const isMoving = isJoint(configuration) || configuration.learners.length > 0;
      if (led !== undefined && isMoving) led.node.moving += 1;
    }
  }

  isLive(replica: string): boolean {
    return this.#live.has(replica);
  }

  /** A replica that runs and has all that is committed, but for what may be under way. */
  isWell(group: Group, replica: string): boolean {
    const match = this.#live.get(replica)?.replica.match;
    return match !== undefined && group.end - match <= 1024;
  }

  /** Well, or cut off so lately that nobody can have noticed. */
  seemsWell(group: Group, replica: string): boolean {
    const node = this.nodes.find(({ disk }) => disk.replicas.get(group.bucket)?.id === replica);
    const own = node?.disk.replicas.get(group.bucket);
    if (node?.cutMs !== this.nowMs || own === undefined) return this.isWell(group, replica);
    return group.end - own.match <= 1024;
  }

  memberOf(replica: string): string | null {
    return this.#cluster.diskOf.get(replica)?.member ?? null;
  }

  drain(node: ModelNode): void {
    node.isDraining = true;
    node.drainEndMs = this.nowMs + DRAIN_MS;
  }

  /** Nodes pass a newer assignment on to each other. */
  #passOn(node: ModelNode): void {
    const { assignment } = node.disk;
    if (assignment === null || !node.isConnected) return;
    const other = this.#chance.pick(this.nodes.filter((each) => each !== node && each.isConnected));
    const theirs = other?.disk.assignment;
    if (other === undefined || !theirs || theirs.version >= assignment.version) return;
    try {
      other.take({ replaces: theirs.version, assignment });
    } catch {
      // It has its reasons.
    }
  }

  isPodReady(pod: ModelPod): boolean {
    const node = pod.node;
    if (node === null || pod.isTerminating) return false;
    const { assignment, member } = node.disk;
    if (assignment === null) return false;
    return assignment.buckets.every(({ replicas }, bucket) => {
      if (!replicas.some((each) => each.member === member)) return true;
      const group = this.groups.get(bucket);
      const own = node.disk.replicas.get(bucket);
      if (group === undefined || own === undefined || group.leader === null) return false;
      return group.end - own.match <= 1024;
    });
  }

  observe(newClusterId: string): Observed {
    const { kubernetes, status, wanted } = this;
    const { spec, revision, storageBytes } = wanted;
    const record = status.assignment;
    const places = new Map<number, NodePlace>();
    for (const place of this.wantedPlaces) places.set(place.index, place);
    for (const { place } of kubernetes.pods.values()) places.set(place.index, place);
    for (const { index } of record?.members ?? []) places.set(index, this.placeAt(index));
    const recordDigest = record === null ? '' : digest(record);
    return {
      ...OWN,
      ...{ generation: 1, now: this.nowMs, isBeingDeleted: false, spec, newClusterId, revision },
      ...{ assignment: record, rollout: status.rollout, storageBytes },
      statefulSets: [...kubernetes.sets.values()].map((set) => ({ ...set })),
      pods: [...kubernetes.pods.values()].map((pod) => this.#observePod(pod)),
      claims: [...kubernetes.claims.values()].map(({ disk: _, ...claim }) => ({
        ...claim,
        canExpand: true,
      })),
      nodes: [...places.values()].map((place) => {
        const node = kubernetes.pods.get(place.index)?.node ?? null;
        const answers = node?.isReachable === true;
        const status = answers ? node.status() : null;
        const follows = !status?.assignment || status.assignment.digest === recordDigest;
        return { place, status, assignment: follows ? null : (node?.disk.assignment ?? null) };
      }),
    };
  }

  #observePod(pod: ModelPod): Observed['pods'][number] {
    const { place, uid, revision, isTerminating, bornMs, host } = pod;
    const isHostReady = !this.kubernetes.lostHosts.has(host);
    const isReady = isHostReady && this.isPodReady(pod);
    const isBad = this.kubernetes.badRevisions.has(revision);
    return {
      ...{ place, uid, revision, image: 'i', isTerminating, isHostReady },
      isReady,
      ageMs: this.nowMs - bornMs,
      ...(!isReady && { unreadyMs: this.nowMs - pod.readyMs }),
      trouble: isBad ? 'CrashLoopBackOff: it does not start' : null,
    };
  }
}
