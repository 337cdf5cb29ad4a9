import type { CompiledOptions } from './options.ts';
import type { StoredEvent, SubscribeOptions, Subscription, SubscriptionPosition } from './types.ts';

export class LiveSubscription implements Subscription {
  readonly ready: Promise<void> = Promise.resolve();
  constructor(_options: CompiledOptions, _asked: SubscribeOptions, _onEnd: () => void) {
    void 0;
  }
  get position(): SubscriptionPosition {
    return {};
  }
  processed(_event: StoredEvent): void {
    throw new Error('not there yet');
  }
  [Symbol.asyncIterator](): AsyncIterator<StoredEvent> {
    throw new Error('not there yet');
  }
  async close(): Promise<void> {
    await Promise.resolve();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
