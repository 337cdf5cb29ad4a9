/** A cluster of simulated members, and what a client can ask of it. */
import assert from 'node:assert/strict';

import { partitionHash } from '../../common/ids.ts';
import { type Random, seededRandom } from '../../common/random.ts';
import { defaultStoreOptions, type StoreOptions } from '../../node/src/engine/index.ts';
import {
  configurationBytes,
  replicaBytes,
  replicaText,
} from '../../node/src/replication/message-format.ts';
import { LogCopies } from '../../node/src/replication/log-copies.ts';
import { segmentsFolder, segmentFileName } from '../../node/src/storage/names.ts';
import type { ReplicaPlan } from '../../node/src/storage/storage.ts';
import { DIRECTORY, SimulatedMember, type World } from './member.ts';
import { SimulatedNetwork } from './network.ts';
import { simulatedSegments } from './segment-requests.ts';
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
  readonly members: readonly SimulatedMember[];
  /** Partition keys of the streams that clients use. */
  readonly keys: readonly Buffer[];
  readonly lines: string[] = [];
  /** Copies of segments that came to their end. */
  copies = 0;
  readonly #replicas = new Map<string, number>();
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
    this.network = new SimulatedNetwork(this.time, seededRandom(seed ^ 0x1f123bb5), (to, bytes) => {
      this.member(to).receive(bytes);
    });
    const random = seededRandom(seed ^ 0x77aa11);
    this.keys = Array.from({ length: KEYS }, () => {
      const key = Buffer.alloc(16);
      random.fill(key);
      return key;
    });
    this.members = Array.from(
      { length: shape.members },
      (_, number) => new SimulatedMember(number, this.#plans(number), this),
    );
    for (const member of this.members) {
      let copies: LogCopies | null = null;
      member.onOpen = (): void => {
        copies = this.#copiesOf(member);
      };
      member.pull = (group, from, commit): void => {
        copies?.begin(group, from, commit);
      };
    }
  }

  member(number: number): SimulatedMember {
    return this.members[number] as SimulatedMember;
  }

  memberOf(replicaId: string): number {
    const number = this.#replicas.get(replicaId);
    assert(number !== undefined, `replica ${replicaId} is known`);
    return number;
  }

  holders(bucket: number): SimulatedMember[] {
    const { members, factor } = this.shape;
    return Array.from({ length: factor }, (_, i) => this.member((bucket + i) % members));
  }

  leaders(bucket: number): SimulatedMember[] {
    return this.holders(bucket).filter((member) => member.leads(bucket));
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

  traceMessage(from: number, to: number, _bytes: Buffer, what: string): void {
    if (this.#tracesMessages) this.trace(`  ${String(from)} → ${String(to)} ${what}`);
  }

  /** Whether every member is up and has applied all that was ever committed. */
  get isSettled(): boolean {
    if (this.members.some(({ isUp, isClosing }) => !isUp || isClosing)) return false;
    return this.truth.logs.every((log, bucket) =>
      this.holders(bucket).every((member) => member.group(bucket)?.appliedIndex === log.length),
    );
  }

  describe(): string {
    return this.members
      .map((member) => {
        const groups = [...(member.store?.groups() ?? [])].map(
          ({ log, core, state }) =>
            `${String(log.bucket)} ${state}/${core.role} term ${String(core.term)} ` +
            `commit ${String(log.committedIndex)} end ${String(log.endIndex)}`,
        );
        return `member ${String(member.number)}: ${groups.join('; ') || 'down'}`;
      })
      .join('\n');
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
          `member ${String(number)} closes with everything`,
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

  #plans(number: number): ReplicaPlan[] {
    const { members, factor } = this.shape;
    const plans: ReplicaPlan[] = [];
    for (let bucket = 0; bucket < this.options.bucketCount; bucket += 1) {
      const voters = Array.from({ length: factor }, (_, i) =>
        replicaName((bucket + i) % members, bucket),
      );
      const replicaId = replicaName(number, bucket);
      this.#replicas.set(replicaId, number);
      if (!voters.includes(replicaId)) continue;
      plans.push({
        bucket,
        replicaId: replicaBytes(replicaId),
        groupId: Buffer.alloc(16, bucket + 1),
        configuration: configurationBytes({ voters, outgoing: [], learners: [] }),
      });
    }
    return plans;
  }

  /** Catch-up where the leader has only segments. */
  #copiesOf(member: SimulatedMember): LogCopies {
    const { number, life } = member;
    const { time, network } = this;
    const random = this.#copyRandom;
    const source = simulatedSegments(
      { time, network, random, member: (n) => this.member(n) },
      member,
    );
    return new LogCopies(source, (_bucket, replica) => String(this.memberOf(replica)), {
      pieceBytes: (2 << (2 * random.below(3))) * KIB,
      breathe: () => new Promise((resolve) => time.after(0.05, life, resolve)),
      onEvent: (event) => {
        const what = `bucket ${String(event.bucket)} copied to member ${String(number)}`;
        if (event.kind === 'copied') {
          this.copies += 1;
          this.trace(`${what}: ${String(event.bytes)} bytes, up to ${String(event.end.index)}`);
          return;
        }
        this.trace(`${what} from member ${event.member}, in vain: ${event.reason}`);
        if (!INNOCENT.test(event.reason)) {
          this.time.fail(new Error(`a copy does not continue the log: ${event.reason}`));
        }
      },
    });
  }
}

/** Copies that end early are begun again; what does not fit a log is nobody's to send. */
const INNOCENT =
  /no answer|no such|ends early|ends within|has stopped|aborted|bad descriptor|closed/i;

const replicaName = (member: number, bucket: number): string =>
  replicaText(Buffer.from([0xaa, member + 1, 0, 0, 0, 0, 0, bucket]));
