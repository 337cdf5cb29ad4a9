/**
 * The network under the groups of one node: messages to other members over streams, and what else members ask of each other.
 *
 * ```ts
 * const network = new PeerNetwork({ self: () => sender, memberOf, addressOf, random: systemRandom });
 * const store = await openStore(directory, options, { replication: { host: network, timing, replicas } });
 * network.attach((bucket) => store.group(bucket));
 * // … the cluster server gives it what arrives:
 * network.receive(batch);
 * ```
 *
 * Invariants
 * - `send` copies and returns; a peer that is away, slow or frozen costs bounded memory and nobody else's time.
 * - Nothing that the network does can fail the node: failures are counted, and messages repeated by the groups.
 */
import { clusterHeaders } from '../../../common/cluster-contract.ts';
import type { Random } from '../../../common/random.ts';
import { LogCopies, type LogCopyOptions } from './log-copies.ts';
import { decodeBatch, encodeMessage, type WireMessage } from './message-format.ts';
import { defaultPeerLimits, Peer, type PeerLimits } from './peer.ts';
import {
  type ByteRange,
  type CommandRequest,
  PeerError,
  type PeerRequests,
  type Sender,
} from './peer-requests.ts';
import type { GroupHost, RaftGroup } from './raft-group.ts';
import type { Landing } from './ranged-read.ts';
import type { ReplicaId } from './raft/types.ts';
import { type DifferingSegment, SegmentDigests } from './segment-digests.ts';
import { SegmentHealing, type SegmentHealingOptions } from './segment-healing.ts';
import { peerSegments } from './segment-requests.ts';

/** One other member, as the network needs it. */
export type PeerConnection = Pick<
  Peer,
  'address' | 'statistics' | 'send' | 'run' | 'request' | 'close'
>;

export interface PeerNetworkOptions {
  /** Who this node is, now: what it says may change when a cluster forms. */
  readonly self: () => Sender;
  /** Shared secret of the cluster. */
  readonly secret?: string | null;
  /** Member id of a replica of a bucket, or null where that is not known (any more). */
  readonly memberOf: (bucket: number, replica: ReplicaId) => string | null;
  /** `host:port` of a member, or null where that is not known. */
  readonly addressOf: (member: string) => string | null;
  readonly random: Random;
  readonly limits?: Partial<PeerLimits>;
  /** How a member is reached, where not over HTTP: in simulations. */
  readonly connect?: (address: string, self: () => Sender) => PeerConnection;
  readonly copies?: Partial<LogCopyOptions>;
  readonly healing?: Partial<SegmentHealingOptions>;
  /** A sealed segment here is another one than its leader's. */
  readonly onDiffers?: (found: DifferingSegment) => void;
  /** A member takes no messages of this one, and has said why. Told again when the reason is another one. */
  readonly onRefused?: (member: string, reason: string) => void;
  /** A group's log does not continue its leader's. */
  readonly onDiverged?: (group: RaftGroup, reason: string) => void;
}

export interface PeerStatistics {
  /** Batches of messages. */
  readonly requests: number;
  readonly messages: number;
  readonly bytes: number;
  readonly failures: number;
  readonly dropped: number;
  readonly lastFailure: string | null;
}

export class PeerNetwork implements GroupHost, PeerRequests {
  readonly random: Random;
  readonly copies: LogCopies;
  /** Of damaged replicas; whoever ticks the groups has it look at them now and then. */
  readonly healing: SegmentHealing;
  /** Of sealed segments; looks at the groups like {@link healing}. */
  readonly digests: SegmentDigests;
  readonly #options: PeerNetworkOptions;
  readonly #limits: PeerLimits;
  readonly #peers = new Map<string, PeerConnection>();
  #groupOf: (bucket: number) => RaftGroup | undefined = () => undefined;
  readonly #refusals = new Map<string, string>();
  #isClosed = false;
  #received = 0;
  #unaddressed = 0;
  #sender: Sender | null = null;
  #headers: readonly string[] = [];

  constructor(options: PeerNetworkOptions) {
    this.#options = options;
    this.random = options.random;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    const segments = peerSegments(this);
    this.copies = new LogCopies(segments, options.memberOf, options.copies);
    this.healing = new SegmentHealing(segments, options.memberOf, options.healing);
    this.digests = new SegmentDigests(segments, options.memberOf, {
      ...{ random: options.random, now: Date.now },
      onDiffers: (found) => options.onDiffers?.(found),
    });
  }

  /** Where messages go from now on. */
  attach(groupOf: (bucket: number) => RaftGroup | undefined): void {
    this.#groupOf = groupOf;
  }

  send(bucket: number, message: WireMessage, frames: Uint8Array | null): void {
    if (this.#isClosed) return;
    const member = this.#options.memberOf(bucket, message.to);
    const peer = member === null ? null : this.#peer(member);
    if (peer === null) {
      this.#unaddressed += 1;
      return;
    }
    peer.send(message.kind, encodeMessage(bucket, message, frames));
  }

  /** Messages of another member's groups. Throws a `RangeError` for what is none. */
  receive(batch: Buffer): void {
    if (this.#isClosed) return;
    for (const received of decodeBatch(batch)) {
      this.#received += 1;
      this.#groupOf(received.bucket)?.receive(received);
    }
  }

  pull(group: RaftGroup, from: ReplicaId, commit: number): void {
    if (!this.#isClosed) this.copies.begin(group, from, commit);
  }

  diverged(group: RaftGroup, reason: string): void {
    this.#options.onDiverged?.(group, reason);
  }

  async run(member: string, request: CommandRequest, signal: AbortSignal): Promise<Buffer> {
    return this.#reachable(member).run(request, signal);
  }

  async put(member: string, path: string, body: Buffer, signal: AbortSignal): Promise<Buffer> {
    return this.#reachable(member).request('PUT', path, { body }, signal);
  }

  async get(
    member: string,
    path: string,
    range: ByteRange | null,
    signal: AbortSignal,
    landing?: Landing,
  ): Promise<Buffer> {
    return this.#reachable(member).request('GET', path, { range, landing }, signal);
  }

  /** By member id: both lanes together. */
  statistics(): Map<string, PeerStatistics> {
    const found = new Map<string, PeerStatistics>();
    for (const [member, peer] of this.#peers) {
      const { control, data } = peer.statistics;
      found.set(member, {
        requests: control.requests + data.requests,
        messages: control.messages + data.messages,
        bytes: control.bytes + data.bytes,
        failures: control.failures + data.failures,
        dropped: control.dropped + data.dropped,
        lastFailure: control.lastFailure ?? data.lastFailure,
      });
    }
    return found;
  }

  /** Messages that have arrived. */
  get received(): number {
    return this.#received;
  }

  /** Messages to replicas of which no member or address is known. */
  get unaddressed(): number {
    return this.#unaddressed;
  }

  /** Forgets connections to members that have left. */
  forget(member: string): void {
    this.#peers.get(member)?.close();
    this.#peers.delete(member);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.copies.close();
    await this.healing.close();
    await this.digests.close();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
  }

  #reachable(member: string): PeerConnection {
    const peer = this.#isClosed ? null : this.#peer(member);
    if (peer === null) throw new PeerError(`no address of member ${member}`, 'not done');
    return peer;
  }

  /** A member that has moved gets new connections. */
  #peer(member: string): PeerConnection | null {
    const address = this.#options.addressOf(member);
    const known = this.#peers.get(member);
    if (known !== undefined && known.address === address) return known;
    known?.close();
    this.#peers.delete(member);
    if (address === null) return null;
    const { connect, self } = this.#options;
    const peer =
      connect?.(address, self) ??
      new Peer(
        address,
        () => this.#identity(),
        this.#limits,
        (reason) => this.#refused(member, reason),
      );
    this.#peers.set(member, peer);
    return peer;
  }

  /** Once for every reason of a member. */
  #refused(member: string, reason: string): void {
    if (this.#refusals.get(member) === reason) return;
    this.#refusals.set(member, reason);
    this.#options.onRefused?.(member, reason);
  }

  #identity(): readonly string[] {
    const sender = this.#options.self();
    if (sender !== this.#sender) {
      this.#sender = sender;
      this.#headers = headersOf(sender, this.#options.secret ?? null);
    }
    return this.#headers;
  }
}

function headersOf(sender: Sender, secret: string | null): readonly string[] {
  const {
    member,
    cluster,
    boot,
    starts = [],
    bucketCount,
    partitionCount,
    isDraining = false,
  } = sender;
  return [
    ...[clusterHeaders.member, member],
    ...[clusterHeaders.boot, String(boot)],
    ...[clusterHeaders.counts, `${String(bucketCount)}/${String(partitionCount)}`],
    ...(starts.length === 0 ? [] : [clusterHeaders.starts, starts.join(' ')]),
    ...(cluster === null ? [] : [clusterHeaders.cluster, cluster]),
    ...(isDraining ? [clusterHeaders.draining, '1'] : []),
    ...(secret === null ? [] : ['authorization', `Bearer ${secret}`]),
  ];
}
