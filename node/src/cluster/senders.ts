/**
 * Who sends requests, as this member knows them from what they say with each; and `starts.json`, which remembers it
 * (`docs/formats/directory.md`).
 *
 * A disk counts its starts and gives each an id. What was acknowledged in a start is on that disk only while the disk's own
 * history has this start: a copy, or an older state put back, counts on from where it was made, under other ids.
 *
 * Invariants
 * - Of every member the latest start that was seen is remembered, also after a restart of this one. A sender with fewer starts is
 *   refused, and so is one that names another start in its place.
 * - Nothing that a sender says in a start counts before that start is remembered durably: see {@link Senders.isBehind}.
 */
import { jsonChecksum } from '../storage/crc.ts';
import type { FileSystem } from '../storage/file-system.ts';
import { NAMELESS_START } from '../storage/identity.ts';
import { readJsonFile, writeJsonFile } from '../storage/json-file.ts';
import type { MemberDirectory } from './member-directory.ts';
import { ClusterRefusal, RolledBackRefusal, type Sender, UnknownMemberRefusal } from './types.ts';

const STARTS_FILE = 'starts.json';
const HELD_BYTES_MAX = 16 * 1024 * 1024;

interface Start {
  /** Starts of the disk up to this one. */
  readonly boot: number;
  readonly id: string;
}

/** By member id. */
type Starts = Readonly<Record<string, Start>>;

export class Senders {
  readonly #files: FileSystem;
  readonly #directory: string;
  readonly #failed: (error: unknown) => void;
  readonly #draining = new Set<string>();
  /** What was seen, and what of it is durable. */
  #starts: Starts;
  #durable: Starts;
  #noting: Promise<void> | null = null;
  #heldBytes = 0;

  private constructor(
    files: FileSystem,
    directory: string,
    starts: Starts,
    failed: (error: unknown) => void,
  ) {
    this.#files = files;
    this.#directory = directory;
    this.#starts = starts;
    this.#durable = starts;
    this.#failed = failed;
  }

  /** `failed` is told of what could not be written. Rejects with `OpenError` for a file that it cannot read. */
  static async read(
    files: FileSystem,
    directory: string,
    failed: (error: unknown) => void,
  ): Promise<Senders> {
    const starts = await readJsonFile(files, directory, STARTS_FILE, parse);
    return new Senders(files, directory, starts ?? {}, failed);
  }

  /** Throws a {@link ClusterRefusal} for one that is not let in. */
  admit(sender: Sender, directory: MemberDirectory): void {
    const { member, boot, starts = [], isDraining = false } = sender;
    const fault = senderFault(sender, directory);
    if (fault !== null) throw new ClusterRefusal(`member ${member} ${fault}`);
    refuseStranger(sender, directory);
    const known = this.#starts[member];
    if (known !== undefined) refuseRolledBack(sender, known);
    if (boot > (known?.boot ?? 0)) {
      this.#see(directory, member, { boot, id: starts.at(-1) ?? NAMELESS_START });
    }
    if (isDraining) this.#draining.add(member);
    else this.#draining.delete(member);
  }

  /** Whether something was seen that is not durable: nothing of what members send may be believed yet. */
  get isBehind(): boolean {
    return this.#durable !== this.#starts;
  }

  /** `take` is called when it is durable, or never, where the disk fails or too much waits: what is lost is sent again. */
  hold(bytes: number, take: () => void): void {
    this.#noting ??= this.#note();
    if (this.#heldBytes + bytes > HELD_BYTES_MAX) return;
    this.#heldBytes += bytes;
    this.#noting
      .then(() => {
        this.#heldBytes -= bytes;
        if (!this.isBehind) take();
      })
      .catch(this.#failed);
  }

  /** Whether a member wants to lead nothing. */
  isDraining(member: string): boolean {
    return this.#draining.has(member);
  }

  /** Those who have left are forgotten: they are not let in at all. */
  #see({ assignment }: MemberDirectory, member: string, start: Start): void {
    const kept = assignment.members.flatMap(({ id }) => {
      const known = id === member ? start : this.#starts[id];
      return known === undefined ? [] : [[id, known] as const];
    });
    this.#starts = Object.fromEntries(kept);
    this.#noting ??= this.#note();
  }

  async #note(): Promise<void> {
    try {
      while (this.isBehind) {
        const starts = this.#starts;
        const whole = { starts, checksum: jsonChecksum(starts) };
        await writeJsonFile(this.#files, this.#directory, STARTS_FILE, whole);
        this.#durable = starts;
      }
    } catch (error) {
      this.#failed(error);
    }
    this.#noting = null;
  }
}

/** Why a sender is not let in, or null. */
function senderFault(sender: Sender, directory: MemberDirectory): string | null {
  const { cluster, bucketCount, partitionCount } = sender;
  const { assignment } = directory;
  if (cluster !== assignment.clusterId) {
    return `belongs to cluster ${String(cluster)}, this node to ${assignment.clusterId}`;
  }
  if (bucketCount !== assignment.bucketCount || partitionCount !== assignment.partitionCount) {
    return `has ${bucketCount} buckets and ${partitionCount} partitions, this node ${assignment.bucketCount} and ${assignment.partitionCount}`;
  }
  return null;
}

function refuseStranger({ member }: Sender, directory: MemberDirectory): void {
  if (directory.member(member) !== undefined) return;
  const { version, removed } = directory.assignment;
  const reason = `member ${member} is not in assignment ${version}`;
  throw removed.includes(member) ? new ClusterRefusal(reason) : new UnknownMemberRefusal(reason);
}

/** Throws for a disk whose history does not have the start that is known of it. */
function refuseRolledBack({ member, boot, starts = [] }: Sender, known: Start): void {
  const told = `the disk of member ${member} was copied or rolled back`;
  if (boot < known.boot) {
    throw new RolledBackRefusal(`${told}: it comes with start ${boot} after start ${known.boot}`);
  }
  // Of more starts ago than a sender names, nothing can be told.
  const own = starts[starts.length - 1 - (boot - known.boot)];
  const isTold = own !== undefined && own !== NAMELESS_START && known.id !== NAMELESS_START;
  if (isTold && own !== known.id) {
    throw new RolledBackRefusal(`${told}: its start ${known.boot} was another one`);
  }
}

function parse(text: string): Starts | null {
  try {
    const { starts, checksum } = JSON.parse(text) as { starts?: Starts; checksum?: unknown };
    if (typeof starts !== 'object' || checksum !== jsonChecksum(starts)) return null;
    const areWhole = Object.values(starts).every(
      ({ boot, id }) => Number.isSafeInteger(boot) && typeof id === 'string',
    );
    return areWhole ? starts : null;
  } catch {
    return null;
  }
}
