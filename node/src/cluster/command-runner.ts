/** Runs what other members have forwarded: here or not at all. */
import { SierraError } from '../../../common/errors.ts';
import type { EventVisitor, Feed, FeedWatcher, PageEnd } from '../engine/types.ts';
import { UINT48_MAX } from '../storage/bytes.ts';
import {
  beginAnswer,
  decodeCommands,
  encodeAppended,
  encodeBatch,
  encodeNumberOrNull,
  type ForwardedCommand,
  type KnownEnd,
  notLeader,
  type ReadCommand,
  refusal,
} from './forwarding.ts';
import { writeEvent } from './received-event.ts';
import { type After, isHolder, realAfter, takesAppends } from './routes.ts';
import { ClusterRefusal, type ReplicaStore } from './types.ts';
import { ByteWriter } from './wire-bytes.ts';

type AppendCommand = Extract<ForwardedCommand, { kind: 'append' }>;
type Command<K extends ReadCommand['kind']> = Extract<ReadCommand, { kind: K }>;

/** How long a member may ask to be told of new events, at most. */
const WAIT_MS_MAX = 30_000;

export class CommandRunner {
  readonly #store: ReplicaStore;
  readonly #after: After;

  constructor(store: ReplicaStore, after: After = realAfter) {
    this.#store = store;
    this.#after = after;
  }

  /** Begins the commands in their order and answers all of them. Rejects with {@link ClusterRefusal} what are no commands. */
  async run(bucket: number, body: Buffer): Promise<Buffer> {
    const commands = decoded(body);
    const answers: Promise<Buffer>[] = [];
    for (const command of commands) {
      if (command.kind !== 'append') {
        answers.push(this.#read(bucket, command));
        continue;
      }
      const { place, answer } = this.#append(bucket, command);
      answers.push(answer);
      if (place !== null) await place;
    }
    return encodeBatch(await Promise.all(answers));
  }

  #append(
    bucket: number,
    { request }: AppendCommand,
  ): { place: Promise<void> | null; answer: Promise<Buffer> } {
    if (!takesAppends(this.#store.group(bucket))) {
      return { place: null, answer: Promise.resolve(notLeader) };
    }
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    let place: Promise<void> | null = null;
    try {
      place = this.#store.append(request, (error, appended) => {
        if (appended !== null) resolve(encodeAppended(appended));
        else resolve(failed(error));
      });
    } catch (error) {
      if (!(error instanceof SierraError)) throw error;
      resolve(failed(error));
    }
    return { place, answer: promise };
  }

  async #read(bucket: number, command: ReadCommand): Promise<Buffer> {
    const group = this.#store.group(bucket);
    try {
      if (command.kind === 'readEvent') return await readEventAnswer(this.#store, command);
      if (!(await mayRead(this.#store, bucket, command.anyCopy))) return notLeader;
      return await this.#run(command);
    } catch (error) {
      // A replica that leaves takes its files with it.
      if (this.#store.group(bucket) !== group) return notLeader;
      if (error instanceof SierraError) return failed(error);
      throw error;
    }
  }

  async #run(command: Exclude<ReadCommand, { kind: 'readEvent' }>): Promise<Buffer> {
    const store = this.#store;
    switch (command.kind) {
      case 'readStream':
        return page(command.bytesMax, (visit) => store.readStream(command, visit));
      case 'readPartition':
        return page(command.bytesMax, (visit) => store.readPartition(command, visit));
      case 'streamVersion':
        return encodeNumberOrNull(
          await store.streamVersion(command.streamId, command.partitionKey),
        );
      case 'partitionSequence':
        return encodeNumberOrNull(await store.partitionSequence(command.partition));
      case 'ends':
        return this.#ends(command);
    }
  }

  /** Answers when one of the targets has grown beyond what is known, or when the time is over. */
  async #ends({ targets, waitMs }: Command<'ends'>): Promise<Buffer> {
    const grown = Promise.withResolvers<void>();
    const watched: { feed: Feed; watcher: FeedWatcher; known: KnownEnd }[] = [];
    const cancel = this.#after(Math.min(waitMs, WAIT_MS_MAX), grown.resolve);
    try {
      for (const known of targets) {
        const watcher = { advanced: grown.resolve };
        const feed = await this.#store.openFeed(known.target, watcher);
        watched.push({ feed, watcher, known });
      }
      if (waitMs > 0 && watched.every(({ feed, known }) => feed.end <= known.end)) {
        await grown.promise;
      }
      const answer = beginAnswer();
      for (const { feed } of watched) answer.u48(Math.min(feed.end, UINT48_MAX));
      return answer.done();
    } finally {
      cancel();
      for (const { feed, watcher } of watched) feed.close(watcher);
    }
  }
}

/** Whether what is applied here holds all that was acknowledged, or need not. */
async function mayRead(store: ReplicaStore, bucket: number, anyCopy: boolean): Promise<boolean> {
  const group = store.group(bucket);
  if (group === undefined) return false;
  return (anyCopy && isHolder(group)) || ((await group.readBarrier()) ?? true);
}

/** Asks the buckets that this member may answer for, in their order, up to the first that holds the event. */
export async function readEventAnswer(
  store: ReplicaStore,
  { eventId, buckets, anyCopy }: Command<'readEvent'>,
): Promise<Buffer> {
  const groups = buckets.map((bucket) => store.group(bucket));
  const may = await Promise.all(buckets.map((bucket) => mayRead(store, bucket, anyCopy)));
  const found = new ByteWriter();
  const lacking: number[] = [];
  for (let i = 0; i < buckets.length && found.length === 0; i += 1) {
    if (may[i] !== true) continue;
    const bucket = buckets[i] as number;
    const isHere = (): boolean => store.group(bucket) === groups[i];
    const visit: EventVisitor = (event) => {
      found.u16(bucket);
      writeEvent(found, event);
      return true;
    };
    try {
      const isThere = await store.readEventIn(bucket, eventId, visit);
      // Of a replica that has left meanwhile it is not known what it held.
      if (!isThere && isHere()) lacking.push(bucket);
    } catch (error) {
      if (isHere()) throw error;
    }
  }
  const answer = beginAnswer().u16(lacking.length);
  for (const bucket of lacking) answer.u16(bucket);
  return answer.raw(found.done()).done();
}

function decoded(body: Buffer): ForwardedCommand[] {
  try {
    return decodeCommands(body);
  } catch (error) {
    throw new ClusterRefusal('the body is no list of commands', { cause: error });
  }
}

/** `TRYAGAIN` says that nothing was done here: the sender may look for the leader again. */
function failed(error: SierraError | null): Buffer {
  if (error === null) return refusal(new SierraError('QUORUMFAILED', 'write outcome unknown'));
  return error.code === 'TRYAGAIN' ? notLeader : refusal(error);
}

/** A page of at most so many bytes, but of one event at least where there is one. */
async function page(
  bytesMax: number,
  read: (visit: EventVisitor) => PageEnd | Promise<PageEnd>,
): Promise<Buffer> {
  const events = new ByteWriter(4096);
  const { hasMore } = await read((event) => {
    const length = event.payloadEnd - event.eventIdAt;
    if (events.length > 0 && events.length + length > bytesMax) return false;
    writeEvent(events, event);
    return true;
  });
  return beginAnswer()
    .u8(hasMore ? 1 : 0)
    .raw(events.done())
    .done();
}
