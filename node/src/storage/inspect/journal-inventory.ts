/**
 * Everything that can be read in a journal, whether or not it is whole: for `verify` and `repair`. What counts at a start
 * is decided in `journal-scan.ts` alone.
 */
import type { FileSystem } from '../file-system.ts';
import { frameIndex, framePrevious } from '../frame-format.ts';
import {
  type BucketCheckpoint,
  type Checkpoint,
  decodeCheckpoint,
  decodeFileHeader,
  decodeRound,
  decodeVote,
  entriesOf,
  entryType,
  type Entry,
  PAGE_BYTES,
  paddedLength,
  type RoundHeader,
} from '../journal-format.ts';
import { type JournalScan, scanJournal } from '../journal-scan.ts';
import { parseJournalFileName } from '../names.ts';

export interface JournalFrame {
  readonly bytes: Buffer;
  readonly at: number;
  readonly length: number;
  /** Lap of the round in which it stands. */
  readonly lap: number;
  /** Grows from frame to frame in the order in which they were written. */
  readonly order: number;
}

/** Term and vote, as the journal's youngest records say. */
export interface Standing {
  readonly term: number;
  readonly votedFor: Uint8Array | null;
}

export class JournalInventory {
  readonly scan: JournalScan;
  /** Names of all files in the folder. */
  readonly names: readonly string[];
  /** The youngest checkpoint in any valid round. */
  readonly checkpoint: Checkpoint | null;
  /** Highest number and lap of any valid round. */
  readonly lastRound: number;
  readonly lastLap: number;
  /** What its files are long, as the first readable header says; null without one. */
  readonly fileBytes: number | null;
  readonly #frames: ReadonlyMap<number, ReadonlyMap<number, JournalFrame>>;
  readonly #standings: ReadonlyMap<number, Standing>;

  private constructor(
    scan: JournalScan,
    names: readonly string[],
    fileBytes: number | null,
    rounds: readonly FoundRound[],
  ) {
    this.scan = scan;
    this.names = names;
    this.fileBytes = fileBytes;
    const last = rounds.at(-1)?.round;
    this.lastRound = last?.number ?? 0;
    this.lastLap = rounds.reduce((lap, { round }) => Math.max(lap, round.lap), 0);
    this.checkpoint = rounds.reduce<Checkpoint | null>((c, r) => checkpointOf(r) ?? c, null);
    const contents = collect(rounds, this.checkpoint);
    this.#frames = contents.frames;
    this.#standings = contents.standings;
  }

  /** Reads all files: costs their size in memory. */
  static async read(files: FileSystem, folder: string): Promise<JournalInventory> {
    const scan = await scanJournal(files, folder);
    const names = await files.list(folder);
    const rounds: FoundRound[] = [];
    let fileBytes: number | null = null;
    for (const name of names) {
      if (parseJournalFileName(name) === null) continue;
      const content = await files.readFile(`${folder}/${name}`);
      const header = decodeFileHeader(content);
      if (header === null) continue;
      fileBytes ??= header.bytes;
      roundsOf(content, header.salt, rounds);
    }
    rounds.sort((a, b) => a.round.number - b.round.number);
    return new JournalInventory(scan, names, fileBytes, rounds);
  }

  /** False where the node would refuse to start. */
  get whole(): boolean {
    return this.scan.refusal === null;
  }

  bucketCheckpoint(bucket: number): BucketCheckpoint | null {
    return this.checkpoint?.buckets.find((entry) => entry.bucket === bucket) ?? null;
  }

  standing(bucket: number): Standing | null {
    return this.#standings.get(bucket) ?? null;
  }

  /** The frame that follows frame `index` whose CRC is `crc`, if the journal has it. */
  following(bucket: number, index: number, crc: number): JournalFrame | null {
    const frame = this.#frames.get(bucket)?.get(index + 1);
    if (frame === undefined || framePrevious(frame.bytes, frame.at) !== crc) return null;
    return frame;
  }

  /** Whether recovery may extend the log by this frame: it stands in a lap that the checkpoint still needs. */
  isRecent(frame: JournalFrame): boolean {
    return this.checkpoint !== null && frame.lap >= this.checkpoint.oldestLap;
  }

  /**
   * Frames of a bucket behind `index` in laps that the checkpoint still needs, by index; but not those that a leader has
   * replaced: a later frame with a lower index came instead of them.
   */
  recent(bucket: number, index: number): JournalFrame[] {
    const all = this.#frames.get(bucket) ?? new Map<number, JournalFrame>();
    let order = all.get(index)?.order ?? 0;
    return [...all]
      .filter(([at, frame]) => at > index && this.isRecent(frame))
      .sort(([a], [b]) => a - b)
      .flatMap(([, frame]) => {
        if (frame.order < order) return [];
        order = frame.order;
        return [frame];
      });
  }
}

interface FoundRound {
  readonly content: Buffer;
  readonly at: number;
  readonly round: RoundHeader;
}

function roundsOf(content: Buffer, salt: number, found: FoundRound[]): void {
  for (let at = PAGE_BYTES; at < content.length;) {
    const round = decodeRound(content, at, salt);
    if (round !== null) found.push({ content, at, round });
    at += round === null ? PAGE_BYTES : paddedLength(round.length);
  }
}

function checkpointOf({ content, at, round }: FoundRound): Checkpoint | null {
  for (const entry of entriesOf(content, at, round)) {
    if (entry.type === entryType.checkpoint) {
      return decodeCheckpoint(content.subarray(entry.from, entry.to));
    }
  }
  return null;
}

interface Contents {
  readonly frames: Map<number, Map<number, JournalFrame>>;
  readonly standings: Map<number, Standing>;
}

/** Frames and votes of the replicas that the checkpoint names; of two frames with one index, the younger round's. */
function collect(rounds: readonly FoundRound[], checkpoint: Checkpoint | null): Contents {
  const frames = new Map<number, Map<number, JournalFrame>>();
  const standings = new Map<number, Standing>();
  for (const bucket of checkpoint?.buckets ?? []) {
    frames.set(bucket.bucket, new Map());
    standings.set(bucket.bucket, { term: bucket.term, votedFor: bucket.votedFor });
  }
  const replicaIds = new Map(checkpoint?.buckets.map((entry) => [entry.bucket, entry.replicaId]));
  const isOwn = ({ bucket, replicaId }: Entry): boolean => {
    const own = replicaIds.get(bucket);
    return own !== undefined && replicaId.equals(own);
  };
  let order = 0;
  for (const { content, at, round } of rounds) {
    for (const entry of entriesOf(content, at, round)) {
      const { type, bucket, from, to } = entry;
      if (type === entryType.checkpoint || !isOwn(entry)) continue;
      if (type === entryType.frame) {
        order += 1;
        const frame = { bytes: content, at: from, length: to - from, lap: round.lap, order };
        frames.get(bucket)?.set(frameIndex(content, from), frame);
      } else if (type === entryType.vote) {
        const vote = decodeVote(content.subarray(from, to));
        if (vote.term >= (standings.get(bucket)?.term ?? 0)) standings.set(bucket, vote);
      }
    }
  }
  return { frames, standings };
}
