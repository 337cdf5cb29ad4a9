/**
 * Reads where they may be answered: at the bucket's leader, once it has made sure that it still is; or, for those who have
 * asked for no more, from any committed copy, this member's own first.
 */
import { SierraError } from '../../../common/errors.ts';
import { partitionHash } from '../../../common/ids.ts';
import type {
  EventVisitor,
  FeedTarget,
  FeedWatcher,
  PageEnd,
  PartitionRange,
  StreamRange,
} from '../engine/types.ts';
import { UINT48_MAX } from '../storage/bytes.ts';
import { readEventAnswer } from './command-runner.ts';
import { type Answer, type ReadCommand, readNumberOrNull } from './forwarding.ts';
import { ReadChannel } from './read-channel.ts';
import { ReceivedEvent } from './received-event.ts';
import { HERE, noLeader, type Route, type Routes } from './routes.ts';
import { ByteReader } from './wire-bytes.ts';

type Eventually<T> = T | Promise<T>;

/** Bytes of the first page: many reads want a few events only. */
const FIRST_PAGE_BYTES = 32 * 1024;
const PAGE_BYTES = 512 * 1024;

/** One way to answer a read here, and another elsewhere; again from where it has come to. */
interface Read<T> {
  readonly bucket: number;
  readonly command: () => ReadCommand;
  readonly here: () => Eventually<T>;
  readonly there: (body: ByteReader) => T;
}

const uninterested: FeedWatcher = { advanced: () => undefined };

export class RoutedReads {
  readonly #routes: Routes;
  readonly #anyCopy: boolean;
  /** By member and bucket. */
  readonly #channels = new Map<string, ReadChannel>();

  constructor(routes: Routes, anyCopy: boolean) {
    this.#routes = routes;
    this.#anyCopy = anyCopy;
  }

  streamVersion(streamId: Uint8Array, partitionKey: Uint8Array): Promise<number | null> {
    const { store } = this.#routes;
    return this.#ask({
      bucket: this.#routes.bucketOfKey(partitionKey),
      command: () => ({ kind: 'streamVersion', anyCopy: this.#anyCopy, streamId, partitionKey }),
      here: () => store.streamVersion(streamId, partitionKey),
      there: readNumberOrNull,
    });
  }

  partitionSequence(partition: number): Promise<number | null> {
    const { store } = this.#routes;
    return this.#ask({
      bucket: this.#routes.bucketOf(partition),
      command: () => ({ kind: 'partitionSequence', anyCopy: this.#anyCopy, partition }),
      here: () => store.partitionSequence(partition),
      there: readNumberOrNull,
    });
  }

  /** Position behind the last event of a target. */
  end(target: FeedTarget): Promise<number> {
    const targets = [{ target, end: 0 }];
    return this.#ask({
      bucket: this.#bucketOfTarget(target),
      command: () => ({ kind: 'ends', anyCopy: this.#anyCopy, waitMs: 0, targets }),
      here: () => this.#endHere(target),
      there: (body) => endOf(body.u48()),
    });
  }

  readStream(range: StreamRange, visit: EventVisitor): Promise<PageEnd> {
    const { store } = this.#routes;
    return this.#scan({
      bucket: this.#routes.bucketOfKey(range.partitionKey),
      from: range.from,
      command: (from, bytesMax) => ({
        ...range,
        kind: 'readStream',
        anyCopy: this.#anyCopy,
        from,
        bytesMax,
      }),
      here: (from, visitor) => store.readStream({ ...range, from }, visitor),
      position: ({ version }) => version,
      visit,
    });
  }

  readPartition(range: PartitionRange, visit: EventVisitor): Promise<PageEnd> {
    const { store } = this.#routes;
    return this.#scan({
      bucket: this.#routes.bucketOf(range.partition),
      from: range.from,
      command: (from, bytesMax) => ({
        ...range,
        kind: 'readPartition',
        anyCopy: this.#anyCopy,
        from,
        bytesMax,
      }),
      here: (from, visitor) => store.readPartition({ ...range, from }, visitor),
      position: ({ sequence }) => sequence,
      visit,
    });
  }

  /** False only when every bucket has said that it does not hold the event. */
  async readEvent(id: Uint8Array, visit: EventVisitor): Promise<boolean> {
    const eventId = Buffer.from(id);
    const { facts } = this.#routes.store;
    const own = this.#routes.bucketOf(partitionHash(eventId) % facts.partitionCount);
    const others = Array.from({ length: facts.bucketCount }, (_, bucket) => bucket);
    others.splice(own, 1);
    const deadline = this.#routes.deadline();
    return (
      (await this.#search(eventId, [own], deadline, visit)) ||
      (await this.#search(eventId, others, deadline, visit))
    );
  }

  #bucketOfTarget(target: FeedTarget): number {
    if (target.kind === 'partition') return this.#routes.bucketOf(target.partition);
    return this.#routes.bucketOfKey(target.partitionKey);
  }

  async #endHere(target: FeedTarget): Promise<number> {
    const feed = await this.#routes.store.openFeed(target, uninterested);
    const { end } = feed;
    feed.close(uninterested);
    return end;
  }

  /** Page by page, each from where the one before has ended, wherever the leader is then. */
  async #scan({ bucket, from, command, here, position, visit }: Scan): Promise<PageEnd> {
    const event = new ReceivedEvent();
    let next = from;
    const counted: EventVisitor = (shown) => {
      const isTaken = visit(shown);
      if (isTaken) next = position(shown) + 1;
      return isTaken;
    };
    for (let bytesMax = FIRST_PAGE_BYTES; ; bytesMax = PAGE_BYTES) {
      const page = await this.#ask<PageEnd | ByteReader>({
        bucket,
        command: () => command(next, bytesMax),
        here: () => here(next, counted),
        there: (body) => body,
      });
      if (!(page instanceof ByteReader)) return page;
      const start = next;
      const hasMore = page.u8() !== 0;
      while (page.hasMore) {
        event.read(page);
        if (!counted(event)) return { hasMore: true };
      }
      if (!hasMore || next === start) return { hasMore };
    }
  }

  /** Runs a read where it may run now, or looks again, until its time is over. */
  async #ask<T>({ bucket, command, here, there }: Read<T>): Promise<T> {
    const deadline = this.#routes.deadline();
    for (let attempt = 0; ; attempt += 1) {
      const route = this.#route(bucket, attempt);
      if (route === HERE) {
        const answer = await this.#askHere(bucket, here);
        if (answer !== null) return answer.value;
      } else if (route !== null) {
        const answer = await this.#forward(route, bucket, command(), deadline);
        if (answer?.kind === 'done') return there(answer.body);
        if (answer?.kind === 'refused') throw answer.error;
      }
      if (this.#routes.now() >= deadline) throw noLeader();
      await this.#routes.pause(bucket);
    }
  }

  /** Null where it may not be answered here, or not any more: a replica that leaves takes its files with it. */
  async #askHere<T>(
    bucket: number,
    here: () => Eventually<T>,
  ): Promise<{ readonly value: T } | null> {
    const group = this.#routes.store.group(bucket);
    if (!(await this.#mayReadHere(bucket))) return null;
    try {
      return { value: await here() };
    } catch (error) {
      if (this.#routes.store.group(bucket) === group) throw error;
      return null;
    }
  }

  /** Null where no answer came. */
  async #forward(
    member: string,
    bucket: number,
    command: ReadCommand,
    deadline: number,
  ): Promise<Answer | null> {
    const key = `${member}/${String(bucket)}`;
    let channel = this.#channels.get(key);
    if (channel === undefined) {
      channel = new ReadChannel(this.#routes, member, bucket, !this.#anyCopy);
      this.#channels.set(key, channel);
    }
    try {
      return await channel.ask(command, deadline);
    } catch (error) {
      if (error instanceof SierraError) throw error;
      return null;
    }
  }

  /** A replica that does not answer is not the last one. */
  #route(bucket: number, attempt: number): Route {
    if (!this.#anyCopy) return this.#routes.leader(bucket);
    if (this.#routes.holds(bucket)) return HERE;
    const leader = this.#routes.view.leaderOf(bucket);
    if (leader !== null && attempt === 0) return leader;
    const replicas = this.#routes.view.assignment.buckets[bucket]?.replicas ?? [];
    return replicas[attempt % Math.max(1, replicas.length)]?.member ?? null;
  }

  async #mayReadHere(bucket: number): Promise<boolean> {
    if (this.#anyCopy) return true;
    const barrier = this.#routes.store.group(bucket)?.readBarrier();
    return barrier === undefined ? false : ((await barrier) ?? true);
  }

  /** Asks buckets for an event, all at the same time; the first of them in their order that holds it counts. */
  async #search(
    eventId: Buffer,
    buckets: readonly number[],
    deadline: number,
    visit: EventVisitor,
  ): Promise<boolean> {
    let open = buckets;
    let found: { readonly bucket: number; readonly body: ByteReader } | null = null;
    for (let attempt = 0; open.length > 0; attempt += 1) {
      const lacking = new Set<number>();
      for (const body of await this.#searchOnce(eventId, open, attempt, deadline)) {
        for (let count = body.u16(); count > 0; count -= 1) lacking.add(body.u16());
        if (!body.hasMore) continue;
        const bucket = body.u16();
        if (found === null || buckets.indexOf(bucket) < buckets.indexOf(found.bucket)) {
          found = { bucket, body };
        }
      }
      const end = found === null ? buckets.length : buckets.indexOf(found.bucket);
      open = open.filter((bucket) => !lacking.has(bucket) && buckets.indexOf(bucket) < end);
      if (open.length === 0) break;
      if (this.#routes.now() >= deadline) throw noLeader();
      await this.#routes.pause(open[0] as number);
    }
    if (found === null) return false;
    const event = new ReceivedEvent();
    event.read(found.body);
    visit(event);
    return true;
  }

  async #searchOnce(
    eventId: Buffer,
    buckets: readonly number[],
    attempt: number,
    deadline: number,
  ): Promise<ByteReader[]> {
    const byRoute = Map.groupBy(buckets, (bucket) => this.#route(bucket, attempt));
    const answers = Array.from(byRoute, async ([route, asked]) => {
      if (route === null) return null;
      const kind = 'readEvent';
      const command = { kind, anyCopy: this.#anyCopy, eventId, buckets: asked } as const;
      if (route === HERE) {
        const answer = await readEventAnswer(this.#routes.store, command);
        return new ByteReader(answer, 1);
      }
      const answer = await this.#forward(route, asked[0] as number, command, deadline);
      if (answer?.kind === 'refused') throw answer.error;
      return answer?.kind === 'done' ? answer.body : null;
    });
    return (await Promise.all(answers)).filter((answer) => answer !== null);
  }
}

interface Scan {
  readonly bucket: number;
  readonly from: number;
  readonly command: (from: number, bytesMax: number) => ReadCommand;
  readonly here: (from: number, visit: EventVisitor) => Eventually<PageEnd>;
  readonly position: (event: Parameters<EventVisitor>[0]) => number;
  readonly visit: EventVisitor;
}

export const endOf = (value: number): number => (value === UINT48_MAX ? Infinity : value);
