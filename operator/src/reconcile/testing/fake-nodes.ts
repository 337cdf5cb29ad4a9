/**
 * Storage nodes as the operator hears them, each on a disk of its own: fresh until they are sent an assignment, which they take by
 * the rule of versions. Moves are carried out at once, when all who are up follow the assignment.
 */
import { randomUUID } from 'node:crypto';

import { type Assignment, digestOf, isNewer } from '../../../../common/assignment.ts';
import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
  ReplicaStatus,
} from '../../../../common/cluster-contract.ts';
import { NodeError, type NodesApi } from '../../nodes/types.ts';
import { heldReplicas } from '../../plan/testing/observed.ts';

export interface FakeDisk {
  readonly memberId: string;
  readonly index: number;
  assignment: Assignment | null;
}

export interface FakeProcess {
  readonly disk: FakeDisk;
  isDraining: boolean;
}

export class FakeNodes implements NodesApi {
  /** By address: who answers there. */
  readonly #processes = new Map<string, FakeProcess>();
  readonly #paused = new Set<string>();
  readonly #counts: { readonly bucketCount: number; readonly partitionCount: number };
  /** Asked before a node takes what it is sent. */
  onSent: (assignment: Assignment) => void = () => undefined;

  constructor(counts: { readonly bucketCount: number; readonly partitionCount: number }) {
    this.#counts = counts;
  }

  static disk(index: number): FakeDisk {
    return { memberId: randomUUID(), index, assignment: null };
  }

  start(address: string, disk: FakeDisk): void {
    this.#processes.set(address, { disk, isDraining: false });
  }

  stop(address: string): void {
    this.#processes.delete(address);
  }

  /** It does not answer any more, and keeps its disk. */
  pause(address: string): void {
    this.#paused.add(address);
  }

  isUp(address: string): boolean {
    return this.#processes.has(address);
  }

  isReady(address: string): boolean {
    return (this.#processes.get(address)?.disk.assignment ?? null) !== null;
  }

  status(address: string): Promise<NodeStatus> {
    return this.#with(address, (process) => this.#statusOf(process));
  }

  assignment(address: string): Promise<Assignment | null> {
    return this.#with(address, ({ disk }) => disk.assignment);
  }

  putAssignment(address: string, _secret: string, update: AssignmentUpdate): Promise<void> {
    return this.#with(address, ({ disk }) => {
      const { replaces, assignment } = update;
      const current = disk.assignment;
      if (replaces !== (current?.version ?? 0)) throw new NodeError('another version', 409);
      if (current !== null && !isNewer(assignment, current)) throw new NodeError('older', 409);
      if (assignment.members.every(({ id }) => id !== disk.memberId)) {
        throw new NodeError(`it does not name member ${disk.memberId}`, 409);
      }
      this.onSent(assignment);
      disk.assignment = assignment;
    });
  }

  drain(address: string): Promise<DrainStatus> {
    return this.#with(address, (process) => {
      process.isDraining = true;
      const { memberId: member } = process.disk;
      return { member, endsInMs: 300_000, leading: [], blocked: [], isSafeToStop: true };
    });
  }

  endDrain(address: string): Promise<void> {
    return this.#with(address, (process) => {
      process.isDraining = false;
    });
  }

  async #with<T>(address: string, work: (process: FakeProcess) => T): Promise<T> {
    const process = this.#processes.get(address);
    await Promise.resolve();
    if (process === undefined || this.#paused.has(address))
      throw new NodeError('it does not answer', 0);
    return work(process);
  }

  #statusOf({ disk, isDraining }: FakeProcess): NodeStatus {
    const { memberId: member, index, assignment } = disk;
    const following = assignment === null ? 'forming' : 'serving';
    return {
      ...{ member, index, cluster: assignment?.clusterId ?? null, version: '1', boot: 1 },
      state: isDraining ? 'draining' : following,
      ...(assignment !== null && { members: assignment.members }),
      assignment:
        assignment === null
          ? null
          : {
              ...{ epoch: assignment.epoch, version: assignment.version },
              digest: digestOf(assignment),
            },
      ...this.#counts,
      buckets: this.#replicasOf(disk),
    };
  }

  /** The newest that all follow who are up. */
  #inForce(): Assignment | null {
    const followed = [...this.#processes.values()].flatMap(({ disk }) => disk.assignment ?? []);
    const [oldest] = followed.sort((a, b) => (isNewer(a, b) ? 1 : -1));
    return oldest ?? null;
  }

  #replicasOf({ memberId }: FakeDisk): ReplicaStatus[] {
    const assignment = this.#inForce();
    if (assignment === null) return [];
    const up = new Map(
      [...this.#processes.values()].map((process) => [process.disk.memberId, process] as const),
    );
    return heldReplicas(assignment, memberId, {
      isUp: (id) => up.has(id),
      isWilling: (id) => up.get(id)?.isDraining === false,
    });
  }
}
