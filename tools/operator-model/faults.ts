/** What goes wrong. Nothing that no cluster survives: a second disk is not lost while the first one is in a group still. */
import type { Plan } from '../../operator/src/plan/index.ts';
import type { Chance } from './chance.ts';
import { assignedIds, type Group } from './group.ts';
import type { ModelClaim } from './kubernetes.ts';
import type { ModelNode } from './node.ts';
import type { World } from './world.ts';

export class Faults {
  readonly #world: World;
  readonly #chance: Chance;

  readonly #trace: (line: () => string) => void;

  constructor(world: World, chance: Chance, trace: (line: () => string) => void) {
    this.#trace = trace;
    this.#world = world;
    this.#chance = chance;
  }

  step(): void {
    const { kubernetes, nodes, status } = this.#world;
    const chance = this.#chance;
    for (const node of nodes) {
      if (chance.of(2))
        this.#tell(node.place.pod, 'is not reached', () => (node.isReachable = false));
      else if (chance.of(30)) node.isReachable = true;
      if (chance.of(1)) this.#tell(node.place.pod, 'is cut off', () => this.#cutOff(node));
      else if (chance.of(30)) node.isConnected = true;
    }
    for (const pod of kubernetes.pods.values()) {
      // A process dies, or somebody deletes a pod.
      if (chance.of(1)) this.#tell(pod.place.pod, 'dies', () => (pod.node = null));
      if (chance.of(1)) this.#tell(pod.place.pod, 'is deleted', () => (pod.isTerminating = true));
    }
    const host = chance.below(6);
    if (chance.of(1))
      this.#tell(`host ${String(host)}`, 'is lost', () => kubernetes.lostHosts.add(host));
    else if (chance.of(5)) kubernetes.lostHosts.clear();
    if (chance.of(2)) this.#loseDisk();
    if (chance.of(1) && status.assignment !== null) {
      this.#trace(() => 'fault: the status is lost');
      status.assignment = null;
      status.rollout = null;
      status.resourceVersion += 1;
    }
    if (chance.of(1)) this.#restoreStatus();
    this.#world.refresh();
  }

  /** From here on nothing new goes wrong. */
  end(): void {
    this.#world.kubernetes.lostHosts.clear();
    for (const node of this.#world.nodes) {
      node.isReachable = true;
      node.isConnected = true;
    }
    this.#world.refresh();
  }

  /** Somebody reads what the operator asks for: `delete claim … and pod …`. */
  follow({ next }: Plan): void {
    const [, claimName, podName] =
      /delete claim (\S+) and pod (\S+)/.exec(next?.waitsFor ?? '') ?? [];
    const { kubernetes } = this.#world;
    for (const claim of kubernetes.claims.values()) {
      if (claim.place.claim === claimName) claim.isTerminating = true;
    }
    for (const pod of kubernetes.pods.values()) {
      if (pod.place.pod === podName) pod.isTerminating = true;
    }
  }

  /** Not while whoever follows the record is out of reach: nobody could tell that it was newer. */
  #restoreStatus(): void {
    const { status, history, nodes } = this.#world;
    const { assignment } = status;
    const isKnown = nodes.some((node) => node.isReachable && node.disk.assignment === assignment);
    if (assignment === null || !isKnown) return;
    this.#trace(() => 'fault: the status is restored from a backup');
    const own = history.filter(({ clusterId }) => clusterId === assignment.clusterId);
    status.assignment = this.#chance.pick(own) ?? null;
    status.rollout = null;
    status.resourceVersion += 1;
  }

  #cutOff(node: ModelNode): void {
    if (node.isConnected) node.cutMs = this.#world.nowMs;
    node.isConnected = false;
  }

  #tell(what: string, happens: string, change: () => unknown): void {
    this.#trace(() => `fault: ${what} ${happens}`);
    change();
  }

  #loseDisk(): void {
    const { kubernetes } = this.#world;
    const claim = this.#chance.pick([...kubernetes.claims.values()]);
    if (claim === undefined || !this.#isBearable(claim)) return;
    this.#tell(claim.place.claim, 'is lost', () => (claim.isTerminating = true));
    const pod = kubernetes.pods.get(claim.place.index);
    if (pod !== undefined) pod.isTerminating = true;
  }

  #isBearable(lost: ModelClaim): boolean {
    const { groups, kubernetes, status, wanted } = this.#world;
    if (groups.size < wanted.spec.bucketCount) return false;
    const disks = new Set(
      [...kubernetes.claims.values()].flatMap((claim) =>
        claim === lost || claim.isTerminating ? [] : (claim.disk?.member ?? []),
      ),
    );
    const isKept = (group: Group, id: string): boolean => {
      const member = this.#world.memberOf(id);
      return member !== null && disks.has(member) && this.#matchOf(id, group.bucket) === group.end;
    };
    const { assignment } = status;
    const isLarge = ({ bucket, configuration, sets, ids }: Group): boolean => {
      const asked = assignment === null ? [] : assignedIds(assignment, bucket);
      const isSettled = sets.length === 1 && configuration.learners.length === 0;
      return isSettled && asked.length >= 3 && asked.every((id) => ids.includes(id));
    };
    return [...groups.values()].every(
      (group) => isLarge(group) && group.hasMajority((id) => isKept(group, id)),
    );
  }

  #matchOf(id: string, bucket: number): number {
    for (const { disk } of this.#world.kubernetes.claims.values()) {
      const replica = disk?.replicas.get(bucket);
      if (replica?.id === id) return replica.match;
    }
    return 0;
  }
}
