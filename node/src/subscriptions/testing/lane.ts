/** One target of a subscription beside the model: which of its events must come next. */
import assert from 'node:assert/strict';

import type { ModelEvent, StoreModel } from '../../engine/testing/model.ts';
import type { ObservedEvent } from '../../engine/testing/observed.ts';
import type { FeedTarget } from '../../engine/types.ts';
import type { SubscriptionStart } from '../types.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Text by which a target is told from others. */
export function targetKey(target: FeedTarget): string {
  if (target.kind === 'partition') return `partition ${target.partition}`;
  return streamKey(Buffer.from(target.streamId).toString('latin1'), hex(target.partitionKey));
}

const streamKey = (streamId: string, partitionKey: string): string =>
  `stream ${streamId} of ${partitionKey}`;

/** The keys of the targets that an event may belong to. */
export const keysOf = (event: ObservedEvent): readonly string[] => [
  streamKey(event.streamId, event.partitionKey),
  `partition ${event.partition}`,
];

export class Lane {
  readonly target: FeedTarget;
  readonly #model: StoreModel;
  /** LATEST: everything below was acknowledged when the subscription was asked for. */
  readonly #least: number;
  /** LATEST: everything from here on was appended after it was open. */
  #most = Infinity;
  #next: number | null;

  constructor({ target, from }: SubscriptionStart, model: StoreModel) {
    this.target = target;
    this.#model = model;
    this.#next = from === 'latest' ? null : from;
    const known = this.events;
    this.#least = known.findLastIndex(({ transaction }) => transaction.certain) + 1;
  }

  get events(): readonly ModelEvent[] {
    const { target } = this;
    if (target.kind === 'partition') return this.#model.partition(target.partition);
    return this.#model.stream(target.streamId, target.partitionKey);
  }

  /** Where a reader goes on that has processed everything shown; `latest` where nothing was shown. */
  get next(): number | 'latest' {
    return this.#next ?? 'latest';
  }

  opened(): void {
    this.#most = this.events.length;
  }

  show(seen: ObservedEvent): void {
    const position = this.target.kind === 'partition' ? seen.sequence : seen.version;
    const name = targetKey(this.target);
    if (this.#next === null) {
      assert(
        position >= this.#least && position <= this.#most,
        `${name} from latest begins with ${position}, not with ${this.#least} to ${this.#most}`,
      );
    } else {
      assert.equal(position, this.#next, `the next event of ${name}`);
    }
    const event = this.events[position];
    assert(event !== undefined, `${name} has an event ${position}`);
    this.#model.learn(event, seen);
    this.#next = position + 1;
  }

  /** How many events must still come. LATEST that has shown nothing may have begun behind some that are in doubt. */
  get due(): number {
    return Math.max(0, this.events.length - (this.#next ?? Math.max(this.#most, this.#least)));
  }
}
