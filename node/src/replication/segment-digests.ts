/**
 * Compares the digests of this node's sealed segments with those of their leaders, slowly and for ever: replicas that hold
 * different events are told of, whatever made them so.
 *
 * ```ts
 * const digests = new SegmentDigests(source, memberOf, { random, onDiffers });
 * digests.look(groups);   // about once a second
 * await digests.close();
 * ```
 *
 * A digest is index, term and checksum of a segment's last frame. Checksums are chained, so it stands for all frames from the log's
 * first to that one; the scrub sees to it that the file still holds what was sealed.
 *
 * Invariants
 * - One group is compared at a time, by one small request; groups take turns.
 * - A difference is told once, and counts as long as it is there. Nothing is decided by it: who is right is not known.
 */
import type { Random } from '../../../common/random.ts';
import type { SegmentSource } from './log-copies.ts';
import type { RaftGroup } from './raft-group.ts';
import type { ReplicaId } from './raft/types.ts';
import { listSegments, type SegmentListing } from './segment-serving.ts';

export interface DifferingSegment {
  readonly bucket: number;
  readonly segment: number;
  /** Whose segment is another one. */
  readonly member: string;
  readonly own: SegmentListing;
  readonly other: SegmentListing;
}

export interface SegmentDigestsOptions {
  readonly random: Random;
  /** Ms since 1970. */
  readonly now: () => number;
  readonly onDiffers: (found: DifferingSegment) => void;
}

/** Looks between two comparisons, on average: members do not all ask in the same second. */
const LOOKS = 10;

export class SegmentDigests {
  readonly #source: Pick<SegmentSource, 'segments'>;
  readonly #memberOf: (bucket: number, replica: ReplicaId) => string | null;
  readonly #options: SegmentDigestsOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | null = null;
  /** Bucket that was compared last. */
  #bucket = -1;
  #comparisons = 0;
  #mismatches = 0;
  #comparedAtMs: number | null = null;
  /** Segments that differ now, by bucket. */
  readonly #differing = new Map<number, ReadonlySet<number>>();

  constructor(
    source: Pick<SegmentSource, 'segments'>,
    memberOf: (bucket: number, replica: ReplicaId) => string | null,
    options: SegmentDigestsOptions,
  ) {
    this.#source = source;
    this.#memberOf = memberOf;
    this.#options = options;
  }

  /** Groups compared, and segments found to differ, since the start. */
  get comparisons(): number {
    return this.#comparisons;
  }

  get mismatches(): number {
    return this.#mismatches;
  }

  /** Segments that differ now. */
  get differing(): number {
    return [...this.#differing.values()].reduce((sum, segments) => sum + segments.size, 0);
  }

  /** When the latest comparison ended, ms since 1970; null before the first. */
  get comparedAtMs(): number | null {
    return this.#comparedAtMs;
  }

  /** Now and then begins to compare the group whose turn it is. */
  look(groups: Iterable<RaftGroup>): void {
    if (this.#running !== null || this.#abort.signal.aborted) return;
    if (this.#options.random.below(LOOKS) === 0) void this.compareNext(groups);
  }

  /** Compares the next group that has something to compare; resolves when that is done. */
  async compareNext(groups: Iterable<RaftGroup>): Promise<void> {
    const next = this.#next([...groups]);
    if (next === null) return;
    this.#bucket = next.group.log.bucket;
    this.#running = this.#compare(next.group, next.member).finally(() => {
      this.#running = null;
    });
    await this.#running;
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  #next(groups: readonly RaftGroup[]): { group: RaftGroup; member: string } | null {
    const sorted = groups.toSorted((a, b) => a.log.bucket - b.log.bucket);
    const turn = sorted.findIndex(({ log }) => log.bucket > this.#bucket);
    for (const group of [...sorted.slice(turn), ...sorted.slice(0, Math.max(0, turn))]) {
      const { leader, log, replicaId, state } = group;
      if (leader === null || leader === replicaId || state !== 'following') continue;
      const member = this.#memberOf(log.bucket, leader);
      if (member !== null && !log.quarantined && log.sealed.segments.length > 0) {
        return { group, member };
      }
    }
    return null;
  }

  /** A member that does not answer is asked again when it is the group's turn. */
  async #compare({ log }: RaftGroup, member: string): Promise<void> {
    const { bucket } = log;
    const others = await this.#source
      .segments(member, bucket, this.#abort.signal)
      .catch(() => null);
    if (others === null) return;
    const theirs = new Map(others.map((other) => [other.segment, other]));
    const known = this.#differing.get(bucket);
    const found = new Set<number>();
    for (const own of listSegments(log)) {
      const other = theirs.get(own.segment);
      if (other === undefined || areEqual(own, other)) continue;
      found.add(own.segment);
      if (known?.has(own.segment) === true) continue;
      this.#mismatches += 1;
      this.#options.onDiffers({ bucket, segment: own.segment, member, own, other });
    }
    this.#differing.set(bucket, found);
    this.#comparisons += 1;
    this.#comparedAtMs = this.#options.now();
  }
}

/** Also where one of the two has no digest: it is not sealed there yet, or of an earlier version. */
function areEqual(own: SegmentListing, other: SegmentListing): boolean {
  const [mine, theirs] = [own.last, other.last];
  if (mine === undefined || theirs === undefined) return true;
  const isSame =
    mine.index === theirs.index && mine.term === theirs.term && mine.crc === theirs.crc;
  return isSame && own.bytes === other.bytes;
}
