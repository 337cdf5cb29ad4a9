/** A cluster of simulated members, and what a client can ask of it. */
import assert from 'node:assert/strict';

import {
  type Assignment,
  type BucketAssignment,
  isNewer,
  replicaIdOf,
} from '../../common/assignment.ts';
import { partitionHash } from '../../common/ids.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { defaultStoreOptions, type StoreOptions } from '../../node/src/engine/index.ts';
import type { LogCopyOptions } from '../../node/src/replication/log-copies.ts';
import { decodeBatch, replicaText } from '../../node/src/replication/message-format.ts';
import type { PeerNetworkOptions } from '../../node/src/replication/peer-network.ts';
import { segmentsFolder, segmentFileName } from '../../node/src/storage/names.ts';
import { addressOf, DIRECTORY, SimulatedMember, type World } from './member.ts';
import { SimulatedNetwork } from './network.ts';
import { SimulatedPeer } from './peer.ts';
import { Truth } from './truth.ts';
import { VirtualTime } from './virtual-time.ts';

const KIB = 1024;
const KEYS = 6;

/** What a run is about, drawn by its seed. */
export interface Shape {
  readonly members: number;
  readonly factor: number;
  readonly options: StoreOptions;
}

export function drawShape(random: Random): Shape {
  const pick = <T>(...values: readonly [T, ...T[]]): T => values[random.below(values.length)] as T;
  const members = pick(3, 3, 3, 4, 5);
  return {
    members,
    factor: members === 5 ? pick(3, 3, 5) : 3,
    options: {
      ...defaultStoreOptions,
      bucketCount: pick(1, 2, 2, 3),
      partitionCount: 6,
      segmentBytes: pick(8, 8, 20, 64) * KIB,
      journalFileBytes: pick(64, 64, 128) * KIB,
      journalFilesMax: pick(3, 4),
      appendMaxBytes: 6 * KIB,
      inFlightBytesMax: 8 * KIB,
      cacheBytes: 128 * KIB,
      headsMax: pick(1, 16, 1000),
      filterBytes: pick(0, 64 * KIB),
      diskReserveBytes: 0,
      scrubBytesPerSecond: 0,
    },
  };
}

export class SimulatedCluster implements World {
  readonly seed: number;
  readonly shape: Shape;
  readonly options: StoreOptions;
  readonly time: VirtualTime = new VirtualTime();
  readonly truth: Truth;
  readonly network: SimulatedNetwork;
  /** Nodes that were started, by their index. */
  readonly members: SimulatedMember[] = [];
  readonly addresses: readonly string[];
  readonly factor: number;
  /** Partition keys of the streams that clients use. */
  readonly keys: readonly Buffer[];
  readonly lines: string[] = [];
  /** Copies of segments that came to their end. */
  copies = 0;
  /** A process has ended, however. */
  onDown: (member: SimulatedMember) => void = () => undefined;
  #lastAssignment: Assignment | null = null;
  readonly #copyRandom: Random;
  readonly #tracesMessages: boolean;

  constructor(seed: number, shape: Shape, tracesMessages: boolean) {
    this.seed = seed;
    this.shape = shape;
    this.options = shape.options;
    this.#tracesMessages = tracesMessages;
    this.#copyRandom = seededRandom(seed ^ 0x51f15e5);
    const { bucketCount } = this.options;
    this.truth = new Truth(bucketCount, () => this.time.now);
    this.network = new SimulatedNetwork(this.time, seededRandom(seed ^ 0x1f123bb5));
    this.factor = shape.factor;
    this.addresses = Array.from({ length: shape.members }, (_, number) => addressOf(number));
    const random = seededRandom(seed ^ 0x77aa11);
    this.keys = Array.from({ length: KEYS }, () => {
      const key = Buffer.alloc(16);
      random.fill(key);
      return key;
    });
    for (let number = 0; number < shape.members; number += 1) this.addMember();
  }

  /** A node that was never started. */
  addMember(): SimulatedMember {
    const member = new SimulatedMember(this.members.length, this);
    member.onDown = (): void => {
      this.onDown(member);
    };
    this.members.push(member);
    return member;
  }

  /** The newest that any member follows; of those that are down where none is up. */
  get assignment(): Assignment | null {
    let newest: Assignment | null = null;
    for (const { node } of this.members) {
      const assignment = node?.currentAssignment() ?? null;
      if (assignment !== null && (newest === null || isNewer(assignment, newest))) {
        newest = assignment;
      }
    }
    this.#lastAssignment = newest ?? this.#lastAssignment;
    return this.#lastAssignment;
  }

  byId(memberId: string): SimulatedMember | undefined {
    return this.members.find((member) => member.memberId === memberId);
  }

  /** Nodes that are to have a bucket. */
  holders(bucket: number): SimulatedMember[] {
    const replicas = this.assignment?.buckets[bucket]?.replicas ?? [];
    return replicas.flatMap(({ member }) => this.byId(member) ?? []);
  }

  /** Nodes that have it, whatever they are to have. */
  havers(bucket: number): SimulatedMember[] {
    return this.members.filter((member) => member.group(bucket) !== undefined);
  }

  leaders(bucket: number): SimulatedMember[] {
    return this.members.filter((member) => member.leads(bucket));
  }

  partitionOf(key: Uint8Array): number {
    return partitionHash(key) % this.options.partitionCount;
  }

  bucketOf(partition: number): number {
    return partition % this.options.bucketCount;
  }

  trace(line: string): void {
    this.lines.push(`${this.time.now.toFixed(2).padStart(10)}  ${line}`);
  }

  #traceMessage(from: number, to: number, bytes: Buffer, kind: string): void {
    if (!this.#tracesMessages) return;
    for (const { bucket, message } of decodeBatch(bytes)) {
      this.trace(
        `  ${String(from)} → ${String(to)} bucket ${String(bucket)} ${kind} ${JSON.stringify(message)}`,
      );
    }
  }

  /** Nodes that still take part. */
  get staying(): SimulatedMember[] {
    return this.members.filter(({ isRetired }) => !isRetired);
  }

  /** What is missing until every node is up, holds what it is to hold, and has applied all that was ever committed; or null. */
  get unsettled(): string | null {
    const { assignment } = this;
    if (assignment === null) return 'no cluster has formed';
    const away = this.staying.find(({ isUp, isClosing }) => !isUp || isClosing);
    if (away !== undefined) return `member ${String(away.number)} is not up`;
    for (const member of this.staying) {
      const has = member.node?.currentAssignment()?.version;
      if (has !== assignment.version)
        return `member ${String(member.number)} has assignment ${String(has)}`;
    }
    for (const [bucket, { replicas }] of assignment.buckets.entries()) {
      const fault = this.#bucketFault(bucket, replicas.length);
      if (fault !== null) return `bucket ${String(bucket)}: ${fault}`;
    }
    return null;
  }

  #bucketFault(bucket: number, count: number): string | null {
    const holders = this.holders(bucket);
    const havers = this.havers(bucket);
    const { clusterId, buckets } = this.assignment as Assignment;
    const assigned = (buckets[bucket] as BucketAssignment).replicas.map((replica) =>
      replicaText(replicaIdOf(clusterId, bucket, replica)),
    );
    if (holders.length !== count) return 'a holder is not there';
    if (havers.length !== count || holders.some((each) => !havers.includes(each)))
      return `members ${havers.map((each) => each.number).join(', ')} have it, not those who are to`;
    for (const { number, node, store } of holders) {
      const status = node?.status().buckets.find((each) => each.bucket === bucket);
      const group = store?.group(bucket);
      if (status === undefined || group === undefined) return 'a holder is not there';
      if (group.log.quarantined) return `it is quarantined on member ${String(number)}`;
      const end = this.truth.logs[bucket]?.length;
      if (group.appliedIndex !== end) return `member ${String(number)} lacks what is committed`;
      const { voters, outgoing, learners } = group.core.configuration;
      const isFinal = outgoing.length === 0 && learners.length === 0;
      if (!isFinal || voters.length !== count || voters.some((id) => !assigned.includes(id)))
        return "its group is not the assignment's";
      if (!assigned.includes(group.replicaId)) return 'a stay is to begin anew';
    }
    return null;
  }

  describe(): string {
    return this.members
      .map((member) => {
        const groups = [...(member.store?.groups() ?? [])].map(
          ({ log, core, state }) =>
            `${String(log.bucket)} ${state}/${core.role} term ${String(core.term)} ` +
            `commit ${String(log.committedIndex)} end ${String(log.endIndex)} ` +
            core.configurations
              .map(({ index, configuration: { voters, outgoing, learners } }) => {
                const name = (id: string): string => this.#nameOf(log.bucket, id);
                const lists = [voters, outgoing, learners].map((ids) => ids.map(name).join(' '));
                return `[${String(index)}: ${lists.join(' | ')}]`;
              })
              .join(' '),
        );
        return `member ${String(member.number)}: ${groups.join('; ') || 'down'}`;
      })
      .join('\n');
  }

  /** A replica as a person would name it: its node, and when its stay began. */
  #nameOf(bucket: number, replica: string): string {
    for (const { number, node } of this.members) {
      const group = node?.status().buckets.find((each) => each.replica === replica);
      if (group?.bucket === bucket) return String(number);
    }
    return replica.slice(0, 6);
  }

  /**
   * Segment files hold exactly what was committed. Call when all members have closed; `settled` is how many frames each
   * bucket had when all had the same.
   */
  compareSegments(settled: readonly number[]): void {
    this.truth.logs.forEach((log, bucket) => {
      for (const { disk, number, closedAt } of this.holders(bucket)) {
        const files = new Map<number, Buffer>();
        const end = closedAt.get(bucket) ?? 0;
        assert(
          end >= (settled[bucket] as number),
          `member ${String(number)} closes bucket ${String(bucket)} with everything: ${String(end)} of ${String(settled[bucket])}`,
        );
        // Those that closed later may have elected another leader.
        for (const { segment, offset, bytes } of log.slice(0, end)) {
          let file = files.get(segment);
          if (file === undefined) {
            const name = segmentFileName(segment);
            file = disk.bytes(`${segmentsFolder(DIRECTORY, bucket)}/${name}`);
            files.set(segment, file);
          }
          assert(
            file.compare(bytes, 0, bytes.length, offset, offset + bytes.length) === 0,
            `segment ${String(segment)} of bucket ${String(bucket)} on member ${String(number)} ` +
              `has other bytes at ${String(offset)} than were committed`,
          );
        }
      }
    });
  }

  networkOf(member: SimulatedMember): Pick<PeerNetworkOptions, 'connect' | 'copies'> {
    const { time, network } = this;
    const context = {
      ...{ time, network, random: this.#copyRandom },
      at: (address: string) => this.members.find((each) => each.address === address),
      traceMessage: (from: number, to: number, bytes: Buffer, kind: string) => {
        this.#traceMessage(from, to, bytes, kind);
      },
    };
    return {
      connect: (address, sender) => new SimulatedPeer(context, member, address, sender),
      copies: this.#copiesOf(member),
    };
  }

  /** Catch-up where the leader has only segments. */
  #copiesOf({ number, life }: SimulatedMember): LogCopyOptions {
    return {
      copiesMax: 2,
      pieceBytes: (2 << (2 * this.#copyRandom.below(3))) * KIB,
      breathe: () => new Promise((resolve) => this.time.after(0.05, life, resolve)),
      onEvent: (event) => {
        const what = `bucket ${String(event.bucket)} copied to member ${String(number)}`;
        if (event.kind === 'copied') {
          this.copies += 1;
          this.trace(`${what}: ${String(event.bytes)} bytes, up to ${String(event.end.index)}`);
          return;
        }
        this.trace(`${what} from member ${event.member}, in vain: ${event.reason}`);
        const isSound = this.members.every(({ damage }) => damage === null);
        if (isSound && !INNOCENT.test(event.reason)) {
          this.time.fail(new Error(`a copy does not continue the log: ${event.reason}`));
        }
      },
    };
  }
}

/** Copies that end early are begun again; what does not fit a log is nobody's to send. */
const INNOCENT =
  /no answer|no such|ends early|ends within|has stopped|aborted|bad descriptor|closed|REFUSED|no replica|has no segment|is not in assignment|no address of|start \d+ of its disk|node is stopping|is damaged|disk has no room for a copy/i;
