/** The data directory of a member of three, whose logs hold frames that are committed and frames that nobody knows about. */
import {
  type Assignment,
  firstAssignment,
  groupIdOf,
  type Member,
  replicaIdOf,
} from '../../../../common/assignment.ts';
import { systemClock } from '../../../../common/clock.ts';
import { type Random, seededRandom } from '../../../../common/random.ts';
import type { BucketLog } from '../../storage/bucket-log.ts';
import { encodeConfiguration } from '../../storage/configuration-format.ts';
import type { FileSystem } from '../../storage/file-system.ts';
import {
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameKind,
} from '../../storage/frame-format.ts';
import { claimIdentity } from '../../storage/identity.ts';
import { inlineIndexBuilds } from '../../storage/index-builds.ts';
import { segmentFileName, segmentsFolder } from '../../storage/names.ts';
import { silentObserver } from '../../storage/observer.ts';
import { Storage } from '../../storage/storage.ts';
import {
  type FilledEvent,
  smallSettings,
  writeTestEvent,
} from '../../storage/testing/filled-directory.ts';
import { writeAssignment } from '../assignment-file.ts';
import { MemberDirectory } from '../member-directory.ts';

/** In which a segment that has ended is written, and what follows it. */
const TURNS = 50;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const DIRECTORY = '/data';
const NOBODY = { voters: [], outgoing: [], learners: [] };
/** The index of the member whose disk it is. */
const INDEX = 1;

export interface MemberDiskOptions {
  readonly seed?: number;
  readonly factor?: number;
}

export class MemberDisk {
  readonly assignment: Assignment;
  readonly storage: Storage;
  readonly #files: FileSystem;
  readonly #random: Random;
  /** By bucket: what its log holds, committed or not, by index. */
  readonly #events = new Map<number, Map<number, FilledEvent>>();
  #term = 1;

  static async open(
    files: FileSystem,
    { seed = 1, factor = 3 }: MemberDiskOptions = {},
  ): Promise<MemberDisk> {
    await files.makeDirectory(DIRECTORY);
    const random = seededRandom(seed);
    const identity = await claimIdentity(files, DIRECTORY, random, smallSettings, () => null);
    const members = [0, 1, 2].map((index): Member => {
      const id = index === INDEX ? identity.memberId : `other-${index}`;
      return { id, index, address: `a:${index}` };
    });
    const assignment = firstAssignment('old-cluster', { ...smallSettings, factor }, members);
    await writeAssignment(files, DIRECTORY, assignment);
    const storage = await Storage.open(DIRECTORY, smallSettings, {
      ...{ files, clock: systemClock, random, observer: silentObserver },
      builds: inlineIndexBuilds(files),
      clusterId: assignment.clusterId,
      replicas: new MemberDirectory(assignment, identity.memberId).plans(),
      onFatal: () => undefined,
    });
    return new MemberDisk(files, assignment, storage, random);
  }

  private constructor(files: FileSystem, assignment: Assignment, storage: Storage, random: Random) {
    this.#files = files;
    this.assignment = assignment;
    this.storage = storage;
    this.#random = random;
    for (const { bucket } of storage.logs) this.#events.set(bucket, new Map());
  }

  /** Of a bucket that is held, in the order of its log. */
  events(bucket: number): FilledEvent[] {
    return [...(this.#events.get(bucket)?.values() ?? [])];
  }

  /** Frames that this member does not know to be committed. */
  uncommitted(bucket: number): number {
    const log = this.storage.logs.find((each) => each.bucket === bucket);
    return log === undefined ? 0 : log.endIndex - log.committedIndex;
  }

  /** Frames come in, some are replaced by those of a later leader, most become committed; all is durable when it resolves. */
  async fill(count: number): Promise<void> {
    const { logs, journal } = this.storage;
    for (let i = 0; i < count; i += 1) {
      const log = logs[this.#random.below(logs.length)] as BucketLog;
      this.#append(log);
      if (this.#random.below(4) > 0) continue;
      await journal.flushed();
      if (this.#random.below(6) === 0) this.#replace(log);
      else this.#commitSome(log);
    }
    await journal.flushed();
  }

  /** The last frames of every log are replaced by a single one, shorter than they were. */
  async replaceTails(): Promise<void> {
    const { logs, journal } = this.storage;
    for (const log of logs) for (let i = 0; i < 4; i += 1) this.#append(log);
    await journal.flushed();
    for (const log of logs) this.#replaceFrom(log, log.committedIndex);
    await journal.flushed();
  }

  /** Everything is committed and stands in segments, of which the last one has just been begun and was not synced. */
  async leaveUnsynced(): Promise<void> {
    const { logs, journal } = this.storage;
    for (const log of logs) {
      do {
        this.#append(log);
        await journal.flushed();
        log.commit(log.endIndex);
        for (let i = 0; i < TURNS; i += 1) await turn();
      } while (!(await this.#isUnsynced(log)));
    }
  }

  /** A replica begins its stay in a bucket, and knows of nobody in its group. */
  async begin(bucket: number): Promise<void> {
    const replicaId = replicaIdOf('old-cluster', bucket, { member: 'late', since: 2 });
    const configuration = encodeConfiguration(NOBODY);
    await this.storage.addLog({
      ...{ bucket, replicaId, configuration },
      groupId: groupIdOf('old-cluster', bucket),
    });
    this.#events.set(bucket, new Map());
  }

  /** A frame says what the replica of a bucket is from then on; durable when it resolves. */
  async configure(bucket: number, as: 'learner' | 'voter' | 'left'): Promise<void> {
    const log = this.storage.logs.find((each) => each.bucket === bucket) as BucketLog;
    const other = replicaIdOf('old-cluster', bucket, { member: 'other-0', since: 1 });
    const voters = as === 'voter' ? [other, log.replicaId] : [other];
    const learners = as === 'learner' ? [log.replicaId] : [];
    const bytes = encodeConfiguration({ voters, outgoing: [], learners });
    const length = FRAME_HEADER_BYTES + bytes.length;
    const place = log.begin(length);
    bytes.copy(place.bytes, place.at + FRAME_HEADER_BYTES);
    const fields = { partition: 0, firstSequence: 0, eventCount: 0 };
    log.finish(place, length, { kind: frameKind.configuration, term: this.#term, ...fields });
    await this.storage.journal.flushed();
  }

  close(): Promise<void> {
    return this.storage.close();
  }

  async #isUnsynced(log: BucketLog): Promise<boolean> {
    const { segment, offset } = log.end;
    const path = `${segmentsFolder(DIRECTORY, log.bucket)}/${segmentFileName(segment)}`;
    const isBegun = log.checkpoint().end.segment < segment;
    return isBegun && (await this.#files.sizeOf(path)) === offset;
  }

  #commitSome(log: BucketLog): void {
    const open = log.endIndex - log.committedIndex;
    log.commit(log.committedIndex + this.#random.below(open + 1));
  }

  /** A leader of a later term does not have the last frames, and sends another. */
  #replace(log: BucketLog): void {
    const open = log.endIndex - log.committedIndex;
    if (open === 0) return;
    this.#replaceFrom(log, log.endIndex - 1 - this.#random.below(open));
  }

  #replaceFrom(log: BucketLog, last: number): void {
    log.truncate(last);
    const events = this.#events.get(log.bucket);
    for (const index of [...(events?.keys() ?? [])]) if (index > last) events?.delete(index);
    this.#term += 1;
    this.#append(log);
  }

  #append(log: BucketLog): void {
    const { bucketCount } = smallSettings;
    const partition = log.bucket + bucketCount * this.#random.below(log.slots);
    const sequence = log.nextSequence(partition);
    const streamId = `stream-${String(partition)}`;
    const payload = 'x'.repeat(this.#random.below(400)) + String(log.endIndex);
    const length = FRAME_EVENTS_OFFSET + EVENT_HEADER_BYTES + streamId.length + 4 + payload.length;
    const place = log.begin(length);
    place.bytes.fill(partition, place.at, place.at + length);
    const at = place.at + FRAME_EVENTS_OFFSET;
    writeTestEvent(place.bytes, at, streamId, sequence, payload, this.#random);
    const fields = { kind: frameKind.events, term: this.#term, partition, firstSequence: sequence };
    const index = log.finish(place, length, { ...fields, eventCount: 1 });
    const event = { partition, sequence, streamId, version: sequence, payload };
    this.#events.get(log.bucket)?.set(index, event);
  }
}
