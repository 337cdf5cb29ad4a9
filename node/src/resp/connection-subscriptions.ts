/**
 * The subscriptions of one connection: takes their events and writes them as pushes between the replies.
 *
 * Invariants
 * - A push is written whole, where whole replies are gathered; so it stands between two replies, never inside one.
 * - Nothing is kept for a subscription but its place in a map: an idle one costs next to nothing, however many there are.
 * - What waits in the socket for a slow reader is `pushBytesMax`, one batch and one event at most. Beyond, subscriptions
 *   keep their position and wait; commands and their replies go on.
 * - No push follows the end of a subscription.
 */
import type { SierraError } from '../../../common/errors.ts';
import type { EventView } from '../engine/types.ts';
import type { Subscription, SubscriptionSink } from '../subscriptions/types.ts';
import type { PushStyle } from './connection.ts';
import type { EncodedEvents } from './encoded-events.ts';
import { EventStart, writeSubscribed, writeSubscriptionError } from './push-reply.ts';
import type { ReplyWriter } from './replies.ts';

/** Where pushes go: a session. */
export interface PushOutput {
  /** The replies of this turn, whole ones; more may be appended. */
  readonly writer: ReplyWriter;
  /** Hands what was gathered to the socket. */
  flush(): void;
  /** Bytes that the socket has not got rid of. Beyond its own mark, it will say when they are gone. */
  readonly waitingBytes: number;
}

export interface PushLimits {
  /** Output gathered before it is handed to the socket. */
  readonly batchBytes: number;
  /** Bytes waiting in the socket; beyond: no more pushes for now. */
  readonly pushBytesMax: number;
}

export class ConnectionSubscriptions implements SubscriptionSink {
  readonly #output: PushOutput;
  readonly #limits: PushLimits;
  readonly #events: EncodedEvents;
  readonly #eventStart = new EventStart();
  readonly #byId = new Map<string, Subscription>();
  /** The library's, as it was known at the last subscription. */
  #eventPush: PushStyle['event'] = 'message';
  /** The last flush has left too much in the socket. */
  #stalled = false;

  constructor(output: PushOutput, limits: PushLimits, events: EncodedEvents) {
    this.#output = output;
    this.#limits = limits;
    this.#events = events;
  }

  /** The subscription with this id, a UUID in lower case. */
  find(id: string): Subscription | undefined {
    return this.#byId.get(id);
  }

  /** Takes in an opened subscription and tells the client its id. */
  add(subscription: Subscription, style: PushStyle): void {
    const { id } = subscription;
    this.#byId.set(id, subscription);
    this.#eventPush = style.event;
    writeSubscribed(this.#output.writer, id, this.#byId.size, style.subscribe);
  }

  /** Ends one; false if there is none with this id. */
  close(id: string): boolean {
    const subscription = this.#byId.get(id);
    if (subscription === undefined) return false;
    this.#byId.delete(id);
    subscription.close();
    return true;
  }

  closeAll(): void {
    for (const subscription of this.#byId.values()) subscription.close();
    this.#byId.clear();
    this.#stalled = false;
  }

  /** To be called when the socket may have got rid of something. */
  resume(): void {
    // Half-way down, so that a reader at the limit gets batches instead of single events.
    if (!this.#stalled || 2 * this.#output.waitingBytes > this.#limits.pushBytesMax) return;
    const [any] = this.#byId.values();
    if (any === undefined) return;
    this.#stalled = false;
    // One speaks for all.
    any.resume();
  }

  event(subscription: Subscription, cursor: number, event: EventView): boolean {
    const { writer } = this.#output;
    this.#eventStart.write(writer, this.#eventPush, subscription.id, cursor);
    this.#events.write(writer, event);
    return writer.length < this.#limits.batchBytes;
  }

  flush(): boolean {
    this.#output.flush();
    this.#stalled = this.#output.waitingBytes > this.#limits.pushBytesMax;
    return !this.#stalled;
  }

  failed(subscription: Subscription, error: SierraError): void {
    if (!this.#byId.delete(subscription.id)) return;
    writeSubscriptionError(this.#output.writer, subscription.id, error);
  }
}
