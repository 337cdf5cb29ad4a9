/** What the operator must never do, held against what is true of the world when it looked. */
import assert from 'node:assert/strict';
import { type Assignment, isNewer } from '../../common/assignment.ts';
import type { Action } from '../../operator/src/plan/index.ts';
import type { Group } from './group.ts';
import type { World } from './world.ts';

export class Checks {
  readonly #world: World;
  /** Pods that the operator has deleted and that are not ready again, by name. */
  readonly #away = new Set<string>();
  /** Of a cluster id, the latest that was ever recorded. */
  readonly #recorded = new Map<string, Assignment>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Before anything of the plan is carried out. `isStale`: some of what was seen is true no longer. */
  plan(actions: readonly Action[], isStale: boolean): void {
    for (const pod of this.#world.kubernetes.pods.values()) {
      const isLost = this.#world.kubernetes.lostHosts.has(pod.host);
      // That it stays away is not the operator's doing.
      if (isLost || this.#world.isPodReady(pod)) this.#away.delete(pod.place.pod);
    }
    for (const name of this.#away) {
      if (!this.#world.wantedPlaces.some(({ pod }) => pod === name)) this.#away.delete(name);
    }
    const last = actions.findIndex(({ kind }) => kind === 'record' || kind === 'rollout');
    assert(
      last === -1 ||
        actions.slice(last + 1).every(({ kind }) => kind === 'end drain' || kind === 'send'),
      `nothing follows a write of status: ${actions.map(({ kind }) => kind).join(', ')}`,
    );
    const disruptive = actions.filter(({ kind }) => kind === 'delete pod' || kind === 'record');
    assert(disruptive.length <= 1, 'one thing at a time');
    for (const action of actions) this.#check(action, isStale);
  }

  /** When an action was carried out. */
  done(action: Action): void {
    if (action.kind === 'delete pod') this.#away.add(action.pod);
    if (action.kind === 'record') {
      const { assignment } = action;
      this.#recorded.set(assignment.clusterId, assignment);
    }
  }

  #check(action: Action, isStale: boolean): void {
    if (action.kind === 'record') this.#checkRecord(action.assignment);
    else if (action.kind === 'delete pod') this.#checkPod(action.uid, isStale);
    else if (action.kind === 'delete claim') this.#checkClaim(action.uid);
    else if (action.kind === 'scale') this.#checkScale(action.statefulSet, action.replicas);
  }

  #checkRecord(next: Assignment): void {
    const { assignment: record } = this.#world.status;
    const known = this.#recorded.get(next.clusterId);
    if (record !== null) {
      assert(isNewer(next, record), 'a record grows');
      assert(next.version >= record.version, 'an epoch goes on counting');
      assert.equal(next.clusterId, record.clusterId, 'a cluster keeps its id');
      // One that was restored may have known what nobody has heard of.
      const lasting = next.epoch === record.epoch ? record.removed : [];
      for (const id of lasting) assert(next.removed.includes(id), 'removed for ever');
    }
    if (known === undefined) {
      const disks = [...this.#world.kubernetes.claims.values()].flatMap(({ disk }) => disk ?? []);
      assert(
        disks.every((disk) => disk.assignment === null),
        'a cluster is formed once',
      );
    }
    for (const { id } of next.members) assert(!next.removed.includes(id), 'never both');
    const gone = record?.members.filter(({ id }) => !next.members.some((each) => each.id === id));
    for (const { id } of gone ?? []) this.#requireUncounted(id);
    for (const { replicas } of next.buckets) {
      for (const { member } of replicas) {
        assert(
          next.members.some(({ id }) => id === member),
          'holders are members',
        );
      }
    }
  }

  /** No group counts on a member that is forgotten. */
  #requireUncounted(member: string): void {
    for (const group of this.#world.groups.values()) {
      const counted = group.ids.find((id) => this.#world.memberOf(id) === member);
      assert.equal(counted, undefined, `bucket ${String(group.bucket)} counts on ${member}`);
    }
  }

  #checkPod(uid: string, isStale: boolean): void {
    const { pods } = this.#world.kubernetes;
    const pod = [...pods.values()].find((each) => each.uid === uid);
    assert(pod !== undefined, 'it is there when it was looked at');
    if (this.#world.isPodReady(pod)) {
      assert.deepEqual([...this.#away], [], 'one pod that is well at a time');
    }
    if (isStale) return;
    const claim = this.#world.kubernetes.claims.get(pod.place.index);
    for (const replica of claim?.disk?.replicas.values() ?? []) {
      const group = this.#world.groups.get(replica.bucket) as Group;
      if (!group.ids.includes(replica.id)) continue;
      this.#requireOthers(group, replica.id, claim?.isTerminating === true);
    }
  }

  /** `isLast`: its disk goes with it. */
  #requireOthers(group: Group, gone: string, isLast: boolean): void {
    const isWell = (id: string): boolean => this.#world.isWell(group, id);
    const what = `bucket ${String(group.bucket)}`;
    // One or two cannot be without one of them.
    if (group.sets.every((set) => set.length <= 2) && !isLast) return;
    if (!group.hasMajority(isWell)) return;
    assert(
      group.hasMajority((id) => id !== gone && this.#world.seemsWell(group, id)),
      `${what} loses its majority`,
    );
  }

  #checkClaim(uid: string): void {
    const { status, kubernetes, groups } = this.#world;
    const claim = [...kubernetes.claims.values()].find((each) => each.uid === uid);
    assert(claim !== undefined, 'it is there when it was looked at');
    assert(!kubernetes.pods.has(claim.place.index), 'a pod has it');
    const member = claim.disk?.member;
    assert(status.assignment !== null, 'nobody knows who is a member');
    assert(!status.assignment.members.some(({ id }) => id === member), 'a member has it');
    for (const group of groups.values()) {
      assert(!group.ids.some((id) => this.#world.memberOf(id) === member), 'a group counts on it');
    }
  }

  #checkScale(name: string, replicas: number): void {
    const { status, kubernetes } = this.#world;
    const set = kubernetes.sets.get(name);
    if (set === undefined || replicas >= set.replicas) return;
    assert(status.assignment !== null, 'nobody knows who is a member');
    const first = Number(/-z(\d+)$/.exec(name)?.[1] ?? 0) * 100;
    for (const pod of kubernetes.pods.values()) {
      if (pod.place.statefulSet !== name || pod.place.index < first + replicas) continue;
      const disk = kubernetes.claims.get(pod.place.index)?.disk ?? null;
      assert(!status.assignment.members.some(({ id }) => id === disk?.member), 'it is a member');
      for (const group of this.#world.groups.values()) {
        const counted = group.ids.some((id) => this.#world.memberOf(id) === disk?.member);
        assert(!counted, 'a group counts on it');
      }
    }
  }
}
