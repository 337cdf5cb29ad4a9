/** Random subscriptions for tests: every form of FROM, one target or many, windows of all sizes. */
import type { Random } from '../../../../common/random.ts';
import type { RandomCommands } from '../../engine/testing/commands.ts';
import type { StoreModel } from '../../engine/testing/model.ts';
import type { AppendRequest, FeedTarget } from '../../engine/types.ts';
import type { SubscriptionRequest, SubscriptionStart } from '../types.ts';
import { targetKey } from './lane.ts';

export class RandomRequests {
  readonly #random: Random;
  readonly #commands: RandomCommands;
  readonly #model: StoreModel;

  constructor(random: Random, commands: RandomCommands, model: StoreModel) {
    this.#random = random;
    this.#commands = commands;
    this.#model = model;
  }

  draw(): SubscriptionRequest {
    return { starts: this.#starts(this.#targets()), window: this.#window() };
  }

  /** An append of an event or two that the target shows; null where no known key leads to its partition. */
  appendTo(target: FeedTarget): AppendRequest | null {
    const streamId = target.kind === 'stream' ? target.streamId : Buffer.from('anyone');
    const partitionKey =
      target.kind === 'stream'
        ? target.partitionKey
        : this.#commands.keys.find((key) => this.#model.partitionOf(key) === target.partition);
    if (partitionKey === undefined) return null;
    const events = Array.from({ length: 1 + this.#random.below(2) }, () => ({
      streamId: Buffer.from(streamId),
      eventName: Buffer.from('Meanwhile'),
      eventId: null,
      expectedVersion: 'any' as const,
      timestamp: null,
      metadata: Buffer.alloc(0),
      payload: Buffer.from(`${this.#random.below(2 ** 32)}`),
    }));
    return { partitionKey: Buffer.from(partitionKey), events };
  }

  #targets(): readonly FeedTarget[] {
    const draw = this.#random.below(100);
    if (draw < 25) return [this.#stream()];
    if (draw < 45) return unique(this.#several(6, () => this.#stream()));
    if (draw < 65) return [this.#partition()];
    if (draw < 80) return unique(this.#several(6, () => this.#partition()));
    return Array.from({ length: this.#model.options.partitionCount }, (_, partition) => ({
      kind: 'partition',
      partition,
    }));
  }

  #several<T>(most: number, make: () => T): readonly T[] {
    return Array.from({ length: 2 + this.#random.below(most - 1) }, make);
  }

  #stream(): FeedTarget {
    const { streamId, partitionKey } = this.#commands.stream();
    const draw = this.#random.below(20);
    if (draw === 0) return { kind: 'stream', streamId: Buffer.from('nobody'), partitionKey };
    if (draw > 2) return { kind: 'stream', streamId, partitionKey };
    return { kind: 'stream', streamId, partitionKey: this.#otherKey(partitionKey) };
  }

  /** Another key, of the same bucket where there is one: there the stream's events are close at hand, and not meant. */
  #otherKey(key: Buffer): Buffer {
    const { keys } = this.#commands;
    const others = keys.filter((other) => !other.equals(key));
    const close = others.filter(
      (other) => this.#model.bucketOf(other) === this.#model.bucketOf(key),
    );
    return this.#pick(close.length > 0 ? close : others);
  }

  #partition(): FeedTarget {
    const { keys } = this.#commands;
    const { partitionCount } = this.#model.options;
    const busy = this.#random.below(100) < 85;
    const partition = busy
      ? this.#model.partitionOf(this.#pick(keys))
      : this.#random.below(partitionCount);
    return { kind: 'partition', partition };
  }

  #starts(targets: readonly FeedTarget[]): readonly SubscriptionStart[] {
    const draw = this.#random.below(10);
    if (draw < 3) return targets.map((target) => ({ target, from: 'latest' }));
    if (draw < 7) {
      const from = this.#position(this.#pick(targets));
      return targets.map((target) => ({ target, from }));
    }
    // MAP: some targets have a number of their own, the others DEFAULT, a number too, or LATEST.
    const rest = draw === 7 ? 'latest' : this.#position(this.#pick(targets));
    return targets.map((target) => ({
      target,
      from: this.#random.below(3) === 0 ? rest : this.#position(target),
    }));
  }

  #position(target: FeedTarget): number {
    const { length } = this.#eventsOf(target);
    switch (this.#random.below(6)) {
      case 0:
      case 1:
        return 0;
      case 2:
        return length;
      case 3:
        return length + 1 + this.#random.below(20);
      default:
        return this.#random.below(length + 1);
    }
  }

  #eventsOf(target: FeedTarget): readonly unknown[] {
    if (target.kind === 'partition') return this.#model.partition(target.partition);
    return this.#model.stream(target.streamId, target.partitionKey);
  }

  #window(): number | null {
    switch (this.#random.below(5)) {
      case 0:
        return 1;
      case 1:
        return 2 + this.#random.below(6);
      case 2:
        return 10 + this.#random.below(500);
      default:
        return null;
    }
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#random.below(values.length)]!;
  }
}

function unique(targets: readonly FeedTarget[]): readonly FeedTarget[] {
  return [...new Map(targets.map((target) => [targetKey(target), target])).values()];
}
