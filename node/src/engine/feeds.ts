/**
 * The applied events of streams and partitions, for those who follow them. History and the present are read in the same
 * way: from a position on, from memory or from disk (`log-feed.ts`).
 *
 * Invariants
 * - A feed is in its bucket's table as long as it has watchers, and every watcher of a target has the same one.
 * - An applied frame costs its watchers, and one look-up for each of its events while any stream of the bucket is watched.
 * - `end` moves before watchers are told.
 */
import {
  eventLength,
  eventStreamIdLength,
  eventVersion,
  EVENT_HEADER_BYTES,
  frameEventCount,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameKind,
  frameKindOf,
  framePartition,
} from '../storage/frame-format.ts';
import { hashBytes, hashLow } from '../storage/hash.ts';
import { type EventCursor, sameBytes } from './event-cursor.ts';
import { keyText } from './heads.ts';
import { type FeedContext, LogFeed, type StreamEnd } from './log-feed.ts';
import { type Eventually, hashStream } from './log-search.ts';
import { partitionPiece, type Piece, StreamSearch, youngStreamPiece } from './pieces.ts';
import type { Feed, FeedWatcher } from './types.ts';

class PartitionFeed extends LogFeed {
  readonly #feeds: BucketFeeds;
  readonly #partition: number;

  constructor(context: FeedContext, feeds: BucketFeeds, partition: number) {
    super(context);
    this.#feeds = feeds;
    this.#partition = partition;
  }

  get end(): number {
    return this.context.log.isEndSure(this.#partition) ? this.readableEnd : Infinity;
  }

  protected get readableEnd(): number {
    return this.context.log.appliedNextSequence(this.#partition);
  }

  seek(cursor: EventCursor, position: number): boolean {
    return cursor.seekSequence(position);
  }

  protected forget(): void {
    this.#feeds.forgetPartition(this.#partition);
  }

  protected find(from: number, max: number): Eventually<Piece | null> {
    return partitionPiece(this.context.log, this.#partition, from, max);
  }

  protected findSurely(from: number, max: number): Eventually<Piece | null> {
    return this.find(from, max);
  }
}

class StreamFeed extends LogFeed {
  readonly hash: number;
  readonly streamId: Buffer;
  /** As {@link keyText}: a third of the memory of a Buffer. */
  readonly partitionKey: string;
  /** Another stream in the same place of the table. */
  next: StreamFeed | null = null;
  readonly #feeds: BucketFeeds;
  #readableEnd = 0;
  #hidesEnd = false;
  #isOpen = false;
  /** Under way until the stream's latest version is known. */
  #opening: Promise<Feed> | null = null;
  #search: StreamSearch | null = null;

  constructor(context: FeedContext, feeds: BucketFeeds, streamId: Uint8Array, key: Uint8Array) {
    super(context);
    this.#feeds = feeds;
    this.hash = hashStream(streamId);
    this.streamId = Buffer.from(streamId);
    this.partitionKey = keyText(key);
  }

  get end(): number {
    return this.#hidesEnd ? Infinity : this.#readableEnd;
  }

  protected get readableEnd(): number {
    return this.#readableEnd;
  }

  /** Asks for the stream's latest version; events applied meanwhile are counted too. */
  open(): Feed | Promise<Feed> {
    if (this.#isOpen) return this;
    if (this.#opening !== null) return this.#opening;
    const end = this.context.streamEnd(this.streamId, Buffer.from(this.partitionKey, 'latin1'));
    if (!(end instanceof Promise)) return this.#opened(end);
    this.#opening = end
      .then((known) => this.#opened(known))
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }

  /** An event of the stream was applied. */
  advance(version: number): void {
    this.#readableEnd = version + 1;
    this.watchers.tell();
  }

  seek(cursor: EventCursor, position: number): boolean {
    return cursor.seekVersion(this.streamId, position);
  }

  protected forget(): void {
    this.#feeds.forgetStream(this);
  }

  protected find(from: number, max: number): Eventually<Piece | null> {
    const young = youngStreamPiece(this.context.log, this.hash, from, max);
    if (young === null) return this.findSurely(from, max);
    this.#search = null;
    return young;
  }

  protected findSurely(from: number, max: number): Promise<Piece | null> {
    this.#search ??= new StreamSearch(this.context.search, this.streamId);
    return this.#search.find(from, max);
  }

  #opened({ nextVersion, isSure }: StreamEnd): Feed {
    this.#isOpen = true;
    this.#hidesEnd = !isSure;
    this.#readableEnd = Math.max(this.#readableEnd, nextVersion);
    return this;
  }
}

/** The feeds of one bucket. */
export class BucketFeeds {
  readonly #context: FeedContext;
  readonly #partitions = new Map<number, PartitionFeed>();
  /** By {@link place}; feeds in the same place are linked. */
  readonly #streams = new Map<number, StreamFeed>();

  constructor(context: FeedContext) {
    this.#context = context;
  }

  openPartition(partition: number, watcher: FeedWatcher): Feed {
    let feed = this.#partitions.get(partition);
    if (feed === undefined) {
      feed = new PartitionFeed(this.#context, this, partition);
      this.#partitions.set(partition, feed);
    }
    feed.watchers.add(watcher);
    return feed;
  }

  openStream(
    streamId: Uint8Array,
    partitionKey: Uint8Array,
    watcher: FeedWatcher,
  ): Feed | Promise<Feed> {
    const feed = this.#find(streamId, partitionKey) ?? this.#addStream(streamId, partitionKey);
    feed.watchers.add(watcher);
    const opened = feed.open();
    if (!(opened instanceof Promise)) return opened;
    return opened.catch((error: unknown) => {
      feed.close(watcher);
      throw error;
    });
  }

  forgetPartition(partition: number): void {
    this.#partitions.delete(partition);
  }

  forgetStream(feed: StreamFeed): void {
    const at = place(feed.hash);
    const first = this.#streams.get(at);
    if (first === feed) {
      if (feed.next === null) this.#streams.delete(at);
      else this.#streams.set(at, feed.next);
      return;
    }
    for (let before = first ?? null; before !== null; before = before.next) {
      if (before.next === feed) before.next = feed.next;
    }
  }

  /** The frame at `bytes[at]` was applied; heads and indexes know it already. */
  applied(bytes: Buffer, at: number): void {
    if (this.#partitions.size === 0 && this.#streams.size === 0) return;
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    this.#partitions.get(framePartition(bytes, at))?.watchers.tell();
    if (this.#streams.size === 0) return;
    const count = frameEventCount(bytes, at);
    let event = at + FRAME_EVENTS_OFFSET;
    for (let i = 0; i < count; i += 1) {
      const idAt = event + EVENT_HEADER_BYTES;
      const idEnd = idAt + eventStreamIdLength(bytes, event);
      let feed = this.#streams.get(place(hashBytes(bytes, idAt, idEnd))) ?? null;
      for (; feed !== null; feed = feed.next) {
        const isOurs =
          feed.streamId.length === idEnd - idAt &&
          sameBytes(bytes, idAt, feed.streamId) &&
          isKey(bytes, at + FRAME_HEADER_BYTES, feed.partitionKey);
        if (isOurs) feed.advance(eventVersion(bytes, event));
      }
      event += eventLength(bytes, event);
    }
  }

  #addStream(streamId: Uint8Array, partitionKey: Uint8Array): StreamFeed {
    const feed = new StreamFeed(this.#context, this, streamId, partitionKey);
    const at = place(feed.hash);
    feed.next = this.#streams.get(at) ?? null;
    this.#streams.set(at, feed);
    return feed;
  }

  #find(streamId: Uint8Array, partitionKey: Uint8Array): StreamFeed | null {
    const key = keyText(partitionKey);
    let feed = this.#streams.get(place(hashStream(streamId))) ?? null;
    while (feed !== null && !(feed.streamId.equals(streamId) && feed.partitionKey === key)) {
      feed = feed.next;
    }
    return feed;
  }
}

/** Small enough to be a number without a box. */
const place = (hash: number): number => hashLow(hash) >>> 2;

/** Whether the key at `bytes[at]` is this one. */
function isKey(bytes: Uint8Array, at: number, key: string): boolean {
  for (let i = 0; i < key.length; i += 1) if (bytes[at + i] !== key.charCodeAt(i)) return false;
  return true;
}
