/** A member's service that notes what it is asked. */
import type { Assignment } from '../../../../common/assignment.ts';
import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
} from '../../../../common/cluster-contract.ts';
import { clusterHeaders } from '../../../../common/cluster-contract.ts';
import { ClusterRefusal, type MemberService, type Sender } from '../../cluster/types.ts';

/** Headers of a member, and what they say. */
export const MEMBER: Readonly<Record<string, string>> = {
  [clusterHeaders.member]: 'm1',
  [clusterHeaders.cluster]: 'c1',
  [clusterHeaders.boot]: '3',
  [clusterHeaders.counts]: '4/32',
};
export const SENDER: Sender = {
  ...{ member: 'm1', cluster: 'c1', boot: 3, bucketCount: 4, partitionCount: 32 },
};

export const STATUS: NodeStatus = { member: 'm0', index: 0, buckets: [] } as unknown as NodeStatus;

export const DRAINED: DrainStatus = {
  ...{ member: 'm0', endsInMs: 1000, leading: [], blocked: [], isSafeToStop: true },
};

export class NotingService implements MemberService {
  readonly senders: Sender[] = [];
  readonly batches: Buffer[] = [];
  readonly updates: AssignmentUpdate[] = [];
  readonly reads: number[][] = [];
  refusal: Error | null = null;
  drains = 0;
  /** Runs what is forwarded. */
  run: (bucket: number, body: Buffer) => Promise<Buffer> = (bucket, body) =>
    Promise.resolve(Buffer.concat([Buffer.from(`${String(bucket)}:`), body]));

  admit(sender: Sender): void {
    this.senders.push(sender);
    if (this.refusal !== null) throw this.refusal;
  }

  status(): NodeStatus {
    return STATUS;
  }

  currentAssignment(): Assignment | null {
    return this.updates.at(-1)?.assignment ?? null;
  }

  putAssignment(update: AssignmentUpdate): Promise<void> {
    if (update.replaces > 0) return Promise.reject(new ClusterRefusal('another one is in force'));
    this.updates.push(update);
    return Promise.resolve();
  }

  drain(): Promise<DrainStatus> {
    this.drains += 1;
    return this.refusal === null ? Promise.resolve(DRAINED) : Promise.reject(this.refusal);
  }

  endDrain(): void {
    this.drains = 0;
  }

  receive(batch: Buffer): void {
    if (batch.length === 0) throw new RangeError('no message');
    this.batches.push(Buffer.from(batch));
  }

  runCommands(bucket: number, body: Buffer): Promise<Buffer> {
    return this.run(bucket, Buffer.from(body));
  }

  segments(): { segment: number; bytes: number }[] {
    return [{ segment: 0, bytes: 100 }];
  }

  isBusy(): boolean {
    return true;
  }

  readSegment(bucket: number, segment: number, from: number, to: number): Promise<Buffer> {
    this.reads.push([bucket, segment, from, to]);
    return Promise.resolve(Buffer.alloc(to - from, 'x'));
  }
}
