/**
 * Decides the appends of one bucket, in the order of their arrival.
 *
 * An append is gathered, then decided. Gathering brings what the decision needs into memory: the heads of its streams,
 * and whether its streams hold the event ids that the client supplied. Deciding is one synchronous step: duplicates,
 * partition keys, expected versions, space, the frame.
 *
 * Invariants
 * - Appends are decided in the order of arrival; one that waits for the disk makes those behind it wait, while what they
 *   need is already being fetched.
 * - Heads count events in flight. An answer that reveals an event in flight (a conflict, a duplicate) waits for the
 *   fate of its frame.
 * - `inFlight` holds the frames above the applied index, in order, without a gap.
 * - Every callback is called once, outside of `append`.
 */
import { SierraError } from '../../../common/errors.ts';
import type { Clock } from '../../../common/clock.ts';
import { type EventIdSource, partitionHash, UUID_BYTES } from '../../../common/ids.ts';
import type { ReplicatedLog } from '../replication/replicated-log.ts';
import {
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameIndex,
  frameKind,
  frameKindOf,
} from '../storage/frame-format.ts';
import type { SpaceGuard } from '../storage/space-guard.ts';
import { AppendedInFrame } from './appended-in-frame.ts';
import { duplicateOf, type DuplicateVerdict, type HeldEvent } from './duplicates.ts';
import { partitionKeyDiffers, versionMatches, wrongVersion } from './expected-version.ts';
import { writeEvent, writePartitionKey } from './frame-encoder.ts';
import { type Head, Heads, keyText } from './heads.ts';
import { hashEvent, hashStream, type LogSearch } from './log-search.ts';
import type {
  Appended,
  AppendCallback,
  AppendedEvent,
  AppendRequest,
  EventDraft,
} from './types.ts';

interface Pending {
  readonly request: AppendRequest;
  readonly partition: number;
  readonly frameBytes: number;
  readonly done: AppendCallback;
  /** Found so far, by event; pinned. */
  readonly heads: (Head | undefined)[];
  /** By event: what the log holds under a supplied id; undefined while not looked up. */
  readonly held: (HeldEvent | null | undefined)[];
  /** By event: the applied index as of which `held` is null. */
  readonly heldAt: number[];
  decided: (() => void) | null;
}

interface InFlight {
  readonly index: number;
  readonly bytes: number;
  readonly heads: readonly Head[];
  readonly appended: Appended;
  readonly done: AppendCallback;
  /** Keys of supplied ids, to be forgotten when applied. */
  readonly idKeys: readonly string[] | null;
  /** Answers that wait for this frame's fate. */
  waiters: ((error: SierraError | null) => void)[] | null;
}

/** A supplied id in flight. */
interface IdInFlight {
  readonly frame: InFlight;
  readonly ordinal: number;
}

export interface WriterContext {
  readonly group: ReplicatedLog;
  readonly search: LogSearch;
  readonly heads: Heads;
  readonly space: SpaceGuard;
  readonly ids: EventIdSource;
  readonly clock: Clock;
  /** Bytes of frames in flight, of all buckets; and how many may be. */
  readonly budget: { bytes: number; readonly maxBytes: number };
  /** Runs `answer` when this round's answers are given, never in the middle of an append. */
  readonly answerLater: (answer: () => void) => void;
}

const NEW: DuplicateVerdict = { kind: 'new' };

export class BucketWriter {
  readonly #context: WriterContext;
  readonly #queue: Pending[] = [];
  readonly #loading = new Map<string, Promise<void>>();
  readonly #inFlight: (InFlight | undefined)[] = [];
  /** Entries of `#inFlight` before this one are applied and gone; their places are cut away now and then. */
  #inFlightStart = 0;
  readonly #idsInFlight = new Map<string, IdInFlight>();
  #draining = false;

  constructor(context: WriterContext) {
    this.#context = context;
  }

  /** Appends waiting for a decision or for durability. */
  get pendingCount(): number {
    return this.#queue.length + this.#inFlight.length - this.#inFlightStart;
  }

  /** See `EventStore.append`. The request has passed the rules about requests. */
  append(
    request: AppendRequest,
    partition: number,
    frameBytes: number,
    done: AppendCallback,
  ): Promise<void> | null {
    const pending: Pending = {
      request,
      partition,
      frameBytes,
      done,
      heads: [],
      held: [],
      heldAt: [],
      decided: null,
    };
    const missing = this.#gather(pending);
    if (missing === null && this.#queue.length === 0) {
      this.#decide(pending);
      return null;
    }
    this.#queue.push(own(pending));
    const queued = this.#queue.at(-1) as Pending;
    const decided = new Promise<void>((resolve) => {
      queued.decided = resolve;
    });
    // What it rejects with is met again when this append's turn comes.
    missing?.catch(() => undefined);
    void this.#drain();
    return decided;
  }

  /** Whether appends wait for a decision. */
  get hasUndecided(): boolean {
    return this.#queue.length > 0;
  }

  /** Resolves when every append so far is decided. */
  async decided(): Promise<void> {
    for (let last = this.#queue.at(-1); last !== undefined; last = this.#queue.at(-1)) {
      const waiting = last;
      const { decided } = waiting;
      await new Promise<void>((resolve) => {
        waiting.decided = (): void => {
          decided?.();
          resolve();
        };
      });
    }
  }

  /** A head for reading: from memory, or loaded. Null where the stream has no events at all. */
  head(streamId: Uint8Array): Head | Promise<Head> {
    return this.#headInMemory(streamId) ?? this.#loadHead(streamId);
  }

  /**
   * What is in flight has an unknown outcome: this replica does not lead any more. Heads go back to what is applied; what
   * was in flight may still be committed, by another leader.
   */
  discard(error: SierraError): void {
    const inFlight = this.#inFlight.splice(this.#inFlightStart);
    this.#inFlight.length = 0;
    this.#inFlightStart = 0;
    this.#idsInFlight.clear();
    for (const frame of inFlight) {
      if (frame === undefined) continue;
      this.#context.budget.bytes -= frame.bytes;
      for (const head of frame.heads) {
        head.version = head.appliedVersion;
        head.partitionKey = head.appliedPartitionKey;
        head.lastIndex = 0;
      }
      this.#context.answerLater(() => {
        frame.done(error, null);
        for (const waiter of frame.waiters ?? []) waiter(error);
      });
    }
  }

  /** Fails everything that waits: nothing will be committed any more. */
  fail(error: SierraError): void {
    this.discard(error);
    const refused = new SierraError('TRYAGAIN', 'the node is stopping');
    for (const pending of this.#queue.splice(0)) this.#answer(pending, refused);
  }

  /** The frame at `bytes[at]` is committed; shown in the order of indexes. */
  applied(bytes: Buffer, at: number): void {
    if (frameKindOf(bytes, at) !== frameKind.events) return;
    const frame = this.#inFlight[this.#inFlightStart];
    if (frame?.index !== frameIndex(bytes, at)) {
      const isBeingRead = (streamId: Uint8Array): boolean => this.#loading.has(keyText(streamId));
      this.#context.heads.follow(bytes, at, this.#loading.size === 0 ? null : isBeingRead);
      return;
    }
    this.#inFlight[this.#inFlightStart] = undefined;
    this.#inFlightStart += 1;
    if (this.#inFlightStart > 1024 && this.#inFlightStart * 2 > this.#inFlight.length) {
      this.#inFlight.splice(0, this.#inFlightStart);
      this.#inFlightStart = 0;
    }
    this.#context.budget.bytes -= frame.bytes;
    for (let i = 0; i < frame.heads.length; i += 1) {
      const head = frame.heads[i] as Head;
      head.appliedVersion = (frame.appended.events[i] as AppendedEvent).version;
      head.appliedPartitionKey = head.partitionKey;
    }
    for (const key of frame.idKeys ?? []) this.#idsInFlight.delete(key);
    this.#context.answerLater(() => {
      frame.done(null, frame.appended);
      for (const waiter of frame.waiters ?? []) waiter(null);
    });
  }

  async #drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        for (let wait = this.#gather(next); wait !== null; wait = this.#gather(next)) await wait;
      } catch (error) {
        unpin(next);
        if (this.#queue[0] !== next) continue;
        this.#queue.shift();
        this.#answer(next, asReadError(error));
        continue;
      }
      if (this.#queue[0] !== next) continue;
      this.#queue.shift();
      this.#decide(next);
    }
    this.#draining = false;
  }

  /** Null when all the decision needs is in memory, and there is room; else a promise after which to ask again. */
  #gather(pending: Pending): Promise<unknown> | null {
    const { events } = pending.request;
    let waits: Promise<unknown>[] | null = null;
    for (let i = 0; i < events.length; i += 1) {
      const event = events[i] as EventDraft;
      const head = pending.heads[i] ?? this.#pin(pending, i, event.streamId);
      if (head === undefined) {
        (waits ??= []).push(this.#loadHead(event.streamId));
      }
      if (event.eventId === null || this.#isHeldKnown(pending, i, head)) continue;
      const wait = this.#findHeld(pending, i, event.streamId, event.eventId, head);
      if (wait !== null) (waits ??= []).push(wait);
    }
    if (waits !== null) return Promise.all(waits);
    const { log, state } = this.#context.group;
    return log.isAlone || state !== 'leading' ? null : log.room.wait(pending.frameBytes);
  }

  #pin(pending: Pending, i: number, streamId: Uint8Array): Head | undefined {
    const head = this.#headInMemory(streamId);
    if (head === undefined) return undefined;
    head.pins += 1;
    pending.heads[i] = head;
    return head;
  }

  #headInMemory(streamId: Uint8Array): Head | undefined {
    const { heads, search } = this.#context;
    const hash = hashStream(streamId);
    const head = heads.get(hash, streamId);
    if (head !== undefined) return head;
    return search.lacksStream(hash) ? heads.add(hash, streamId, -1, null) : undefined;
  }

  async #loadHead(streamId: Uint8Array): Promise<Head> {
    const { heads, search } = this.#context;
    const copy = Buffer.from(streamId);
    const hash = hashStream(copy);
    const key = keyText(copy);
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      const { age } = heads;
      loading = search
        .findHead(copy)
        .then((stored) => {
          if (heads.get(hash, copy) !== undefined || heads.age !== age) return;
          const partitionKey = stored === null ? null : keyText(stored.partitionKey);
          heads.add(hash, copy, stored?.version ?? -1, partitionKey);
        })
        .finally(() => {
          this.#loading.delete(key);
        });
      this.#loading.set(key, loading);
    }
    await loading;
    return heads.get(hash, copy) ?? this.#loadHead(copy);
  }

  /** That a stream does not hold an id is only known as of the applied index at which it was looked up. */
  #isHeldKnown({ held, heldAt }: Pending, i: number, head: Head | undefined): boolean {
    const found = held[i];
    if (found === undefined) return false;
    if (found !== null || head === undefined) return true;
    const asOf = heldAt[i] as number;
    return head.lastIndex <= asOf || this.#context.group.appliedIndex === asOf;
  }

  /** Looks up a supplied id in what is applied; what is in flight is looked at when the append is decided. */
  #findHeld(
    pending: Pending,
    i: number,
    streamId: Uint8Array,
    eventId: Uint8Array,
    head: Head | undefined,
  ): Promise<void> | null {
    const { search, group } = this.#context;
    const hash = hashEvent(eventId);
    pending.heldAt[i] = group.appliedIndex;
    if (head?.appliedVersion === -1 || search.lacksEvent(hash)) {
      pending.held[i] = null;
      return null;
    }
    const stream = Buffer.from(streamId);
    const id = Buffer.from(eventId);
    const { isDrawn = false } = pending.request.events[i] as EventDraft;
    return Promise.resolve(search.eventPlaces(hash))
      .then((places) => search.eventsAt(places, id))
      .then((events) => {
        const stored = events.find((e) => (e.idSupplied || isDrawn) && e.streamId.equals(stream));
        pending.held[i] = stored === undefined ? null : { ...stored, inFlight: null };
      });
  }

  #decide(pending: Pending): void {
    unpin(pending);
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#answer(pending, refusal);
      return;
    }
    const verdict = this.#duplicate(pending);
    if (verdict.kind !== 'new') {
      this.#answerDuplicate(pending, verdict);
      return;
    }
    const heads = pending.heads as Head[];
    const conflict = this.#conflict(pending, heads);
    if (conflict !== null) {
      const index = Math.max(...heads.map((head) => head.lastIndex));
      this.#afterFate(index, (lost) => {
        pending.done(lost ?? conflict, null);
      });
      pending.decided?.();
      return;
    }
    const { budget } = this.#context;
    if (budget.bytes + pending.frameBytes > budget.maxBytes && budget.bytes > 0) {
      this.#answer(pending, new SierraError('BUFFERFULL', 'too many appends wait for the disk'));
      return;
    }
    const { log } = this.#context.group;
    if (!log.isAlone && !log.room.takesOwn(pending.frameBytes)) {
      this.#answer(pending, new SierraError('BUFFERFULL', 'too many appends wait for a majority'));
      return;
    }
    if (!this.#context.space.take(pending.frameBytes)) {
      this.#answer(pending, new SierraError('DISKFULL', 'no space left on the disk for appends'));
      return;
    }
    this.#propose(pending, heads);
    pending.decided?.();
  }

  #refusal(): SierraError | null {
    const { group } = this.#context;
    if (group.log.quarantined) {
      const [range] = group.log.damage;
      return new SierraError(
        'CLUSTERDOWN',
        `partition unavailable: bucket ${String(group.log.bucket)} is quarantined, ` +
          `segment ${String(range?.segment)} is damaged at byte ${String(range?.from)}`,
      );
    }
    return group.state === 'leading' ? null : noLeader();
  }

  #duplicate(pending: Pending): DuplicateVerdict {
    const { events } = pending.request;
    if (!events.some((event) => event.eventId !== null)) return NEW;
    const held = events.map((event, i) =>
      event.eventId === null ? null : this.#heldNow(pending, i, event),
    );
    return duplicateOf(events, held);
  }

  #heldNow(pending: Pending, i: number, event: EventDraft): HeldEvent | null {
    const inFlight = this.#idsInFlight.get(idKey(event.streamId, event.eventId as Uint8Array));
    if (inFlight === undefined) return pending.held[i] ?? null;
    const { appended, index } = inFlight.frame;
    const own = appended.events[inFlight.ordinal] as AppendedEvent;
    return {
      frameIndex: index,
      ordinal: inFlight.ordinal,
      eventCount: appended.events.length,
      eventId: own.eventId,
      streamId: own.streamId,
      partitionKey: appended.partitionKey,
      partition: appended.partition,
      sequence: appended.firstSequence + inFlight.ordinal,
      version: own.version,
      timestamp: own.timestamp,
      inFlight: index,
    };
  }

  #answerDuplicate(pending: Pending, verdict: Exclude<DuplicateVerdict, { kind: 'new' }>): void {
    this.#afterFate(verdict.inFlight ?? 0, (lost) => {
      if (lost !== null) pending.done(lost, null);
      else if (verdict.kind === 'refused') pending.done(verdict.error, null);
      else pending.done(null, verdict.appended);
    });
    pending.decided?.();
  }

  /** The first broken condition: all partition keys, then all versions, each event seeing those before it. */
  #conflict({ request }: Pending, heads: readonly Head[]): SierraError | null {
    const { events, partitionKey } = request;
    const asked = keyText(partitionKey);
    for (const { partitionKey: existing } of heads) {
      if (existing !== null && existing !== asked) {
        return partitionKeyDiffers(Buffer.from(existing, 'latin1'), partitionKey);
      }
    }
    for (let i = 0; i < events.length; i += 1) {
      const { expectedVersion, streamId } = events[i] as EventDraft;
      const head = heads[i] as Head;
      if (!versionMatches(expectedVersion, head.version)) {
        const { version } = head;
        for (let j = 0; j < i; j += 1) (heads[j] as Head).version -= 1;
        return wrongVersion(expectedVersion, version, partitionKey, streamId);
      }
      head.version += 1;
    }
    for (const head of heads) head.version -= 1;
    return null;
  }

  /** Writes the frame and sends it on its way. Nothing here may fail. */
  #propose(pending: Pending, heads: readonly Head[]): void {
    const { group, ids, clock } = this.#context;
    const { request, partition, frameBytes } = pending;
    const { events, partitionKey } = request;
    const firstSequence = group.log.nextSequence(partition);
    const hash = partitionHash(partitionKey);
    const now = clock.now();
    const place = group.begin(frameBytes);
    const { bytes } = place;
    writePartitionKey(bytes, place.at, partitionKey);
    const results: AppendedEvent[] = [];
    let at = place.at + FRAME_EVENTS_OFFSET;
    for (let i = 0; i < events.length; i += 1) {
      const event = events[i] as EventDraft;
      const head = heads[i] as Head;
      head.version += 1;
      const timestamp = event.timestamp === null ? now : Number(event.timestamp);
      if (event.eventId === null) ids.draw(hash, bytes, at);
      else bytes.set(event.eventId, at);
      results.push(new AppendedInFrame(bytes, at, head.version, timestamp));
      at = writeEvent(bytes, at, event, head.version, timestamp);
    }
    const index = group.finish(place, frameBytes, {
      kind: frameKind.events,
      partition,
      firstSequence,
      eventCount: events.length,
    });
    for (const head of heads) {
      head.lastIndex = index;
      head.partitionKey ??= keyText(partitionKey);
    }
    const keyAt = place.at + FRAME_HEADER_BYTES;
    const key = bytes.subarray(keyAt, keyAt + UUID_BYTES);
    const appended = { partitionKey: key, partition, firstSequence, events: results };
    this.#track(pending, index, heads, appended);
  }

  #track(pending: Pending, index: number, heads: readonly Head[], appended: Appended): void {
    const { events } = pending.request;
    const supplied = events.some((event) => event.eventId !== null);
    const frame: InFlight = {
      index,
      bytes: pending.frameBytes,
      heads,
      appended,
      done: pending.done,
      idKeys: supplied ? suppliedKeys(events) : null,
      waiters: null,
    };
    this.#context.budget.bytes += frame.bytes;
    this.#inFlight.push(frame);
    if (!supplied) return;
    events.forEach((event, ordinal) => {
      if (event.eventId === null) return;
      this.#idsInFlight.set(idKey(event.streamId, event.eventId), { frame, ordinal });
    });
  }

  /**
   * Calls back when the frame `index` is applied, or lost. An answer that depends on applied state alone waits until it is
   * sure that no other leader knows more.
   */
  #afterFate(index: number, answer: (lost: SierraError | null) => void): void {
    const frame = this.#frameInFlight(index);
    if (frame !== undefined) {
      (frame.waiters ??= []).push(answer);
      return;
    }
    const { group, answerLater } = this.#context;
    const barrier = group.readBarrier();
    if (barrier === null) {
      answerLater(() => {
        answer(null);
      });
      return;
    }
    void barrier.then((isSure) => {
      answerLater(() => {
        answer(isSure ? null : noLeader());
      });
    });
  }

  #frameInFlight(index: number): InFlight | undefined {
    let low = this.#inFlightStart;
    let high = this.#inFlight.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const frame = this.#inFlight[middle] as InFlight;
      if (frame.index === index) return frame;
      if (frame.index < index) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  #answer(pending: Pending, error: SierraError): void {
    this.#context.answerLater(() => {
      pending.done(error, null);
    });
    pending.decided?.();
  }
}

const noLeader = (): SierraError =>
  new SierraError('TRYAGAIN', 'the partition has no leader at the moment');

function unpin({ heads }: Pending): void {
  for (const head of heads) if (head !== undefined) head.pins -= 1;
}

/** A request that has to wait must not depend on the caller's buffers. */
function own(pending: Pending): Pending {
  const copy = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  const { request } = pending;
  return {
    ...pending,
    request: {
      partitionKey: copy(request.partitionKey),
      events: request.events.map((event) => ({
        ...event,
        streamId: copy(event.streamId),
        eventName: copy(event.eventName),
        eventId: event.eventId === null ? null : copy(event.eventId),
        metadata: copy(event.metadata),
        payload: copy(event.payload),
      })),
    },
  };
}

/** Ids are unique within a stream. */
function idKey(streamId: Uint8Array, eventId: Uint8Array): string {
  return keyText(eventId) + keyText(streamId);
}

const suppliedKeys = (events: readonly EventDraft[]): string[] =>
  events.flatMap((event) => (event.eventId === null ? [] : [idKey(event.streamId, event.eventId)]));

function asReadError(error: unknown): SierraError {
  if (error instanceof SierraError) return error;
  return new SierraError('CLUSTERDOWN', `partition unavailable: ${(error as Error).message}`, {
    cause: error,
  });
}
