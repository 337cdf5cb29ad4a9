/** The part of Kubernetes that the operator works with: StatefulSets that make pods, claims that outlive them, hosts. */
import type { NodePlace } from '../../operator/src/resources/names.ts';
import type { Chance } from './chance.ts';
import { type Disk, freshDisk, ModelNode, type Cluster } from './node.ts';

export interface ModelSet {
  readonly name: string;
  readonly uid: string;
  replicas: number;
  revision: string;
  storageBytes: number;
}

export interface ModelPod {
  readonly place: NodePlace;
  readonly uid: string;
  readonly revision: string;
  readonly bornMs: number;
  readonly host: number;
  isTerminating: boolean;
  /** When it was ready last, or made. */
  readyMs: number;
  /** Null while its process does not run. */
  node: ModelNode | null;
}

export interface ModelClaim {
  readonly place: NodePlace;
  readonly uid: string;
  requestedBytes: number;
  actualBytes: number;
  isTerminating: boolean;
  disk: Disk | null;
}

const HOSTS = 6;

export class Kubernetes {
  readonly sets: Map<string, ModelSet> = new Map();
  /** By index. */
  readonly pods: Map<number, ModelPod> = new Map();
  readonly claims: Map<number, ModelClaim> = new Map();
  readonly lostHosts: Set<number> = new Set();
  /** Revisions whose pods never run. */
  readonly badRevisions: Set<string> = new Set();
  /** Percent of steps in which a process that can start does, and a pod is made. */
  startPercent = 50;
  readonly #chance: Chance;
  readonly #placeOf: (statefulSet: string, at: number) => NodePlace;
  readonly #cluster: () => Cluster;
  #uids = 0;

  constructor(
    chance: Chance,
    placeOf: (statefulSet: string, at: number) => NodePlace,
    cluster: () => Cluster,
  ) {
    this.#chance = chance;
    this.#placeOf = placeOf;
    this.#cluster = cluster;
  }

  uid(): string {
    this.#uids += 1;
    return `uid-${String(this.#uids)}`;
  }

  step(nowMs: number): void {
    for (const set of this.sets.values()) this.#keepPods(set, nowMs);
    for (const [index, pod] of this.pods) this.#stepPod(index, pod);
    for (const [index, claim] of this.claims) {
      if (claim.isTerminating && !this.pods.has(index)) this.claims.delete(index);
      else if (this.#chance.of(40)) claim.actualBytes = claim.requestedBytes;
    }
  }

  #keepPods(set: ModelSet, nowMs: number): void {
    const places = Array.from({ length: set.replicas }, (_, at) => this.#placeOf(set.name, at));
    for (const place of places) {
      if (!this.pods.has(place.index) && this.#chance.of(this.startPercent))
        this.#makePod(set, place, nowMs);
    }
    for (const pod of this.pods.values()) {
      if (pod.place.statefulSet !== set.name) continue;
      if (!places.some(({ index }) => index === pod.place.index)) pod.isTerminating = true;
    }
  }

  #makePod({ revision, storageBytes }: ModelSet, place: NodePlace, bornMs: number): void {
    const { index } = place;
    const claim = this.claims.get(index);
    if (claim?.isTerminating === true) return;
    if (claim === undefined) {
      this.claims.set(index, {
        ...{ place, uid: this.uid(), requestedBytes: storageBytes, actualBytes: storageBytes },
        ...{ isTerminating: false, disk: null },
      });
    }
    const hosts = Array.from({ length: HOSTS }, (_, host) => host);
    const host = this.#chance.pick(hosts.filter((each) => !this.lostHosts.has(each))) ?? 0;
    this.pods.set(index, {
      ...{
        place,
        uid: this.uid(),
        revision,
        bornMs,
        readyMs: bornMs,
        host,
        isTerminating: false,
        node: null,
      },
    });
  }

  #stepPod(index: number, pod: ModelPod): void {
    if (this.lostHosts.has(pod.host)) {
      // What runs there is not heard of, and nobody can say that it has ended.
      pod.node = null;
      if (this.#chance.of(10)) pod.isTerminating = true;
      return;
    }
    if (pod.isTerminating) {
      if (this.#chance.of(30)) pod.node = null;
      if (pod.node === null && this.#chance.of(60)) this.pods.delete(index);
      return;
    }
    if (
      pod.node === null &&
      !this.badRevisions.has(pod.revision) &&
      this.#chance.of(this.startPercent)
    ) {
      const claim = this.claims.get(index) as ModelClaim;
      claim.disk ??= freshDisk(this.#chance.id());
      pod.node = new ModelNode(pod.place, claim.disk, this.#cluster());
    }
  }
}
