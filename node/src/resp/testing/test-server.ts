import assert from 'node:assert/strict';

import { seededRandom } from '../../../../common/random.ts';
import { Router } from '../../cluster/router.ts';
import { type SubscriptionOpener, Subscriptions } from '../../subscriptions/subscriptions.ts';
import type { Command } from '../commands/command.ts';
import type { ProtocolDefault } from '../connection.ts';
import { type RespLimits, respLimits } from '../limits.ts';
import { RespListener } from '../listener.ts';
import type { RespObserver } from '../observer.ts';
import { ArrayStore, type ArrayStoreOptions } from './array-store.ts';

export interface TestServerOptions extends ArrayStoreOptions {
  readonly protocolDefault?: ProtocolDefault;
  readonly limits?: Partial<RespLimits>;
}

/** Remembers what it is told. */
export class RecordingObserver implements RespObserver {
  opened = 0;
  closed = 0;
  refused = 0;
  readonly answers: { name: string; code: string | null }[] = [];
  readonly faults: unknown[] = [];

  connectionOpened(): void {
    this.opened += 1;
  }

  connectionClosed(): void {
    this.closed += 1;
  }

  connectionRefused(): void {
    this.refused += 1;
  }

  commandAnswered(command: Command | undefined, code: string | null, durationMs: number): void {
    assert(durationMs >= 0);
    this.answers.push({ name: command?.name ?? 'unknown', code });
  }

  fault(error: unknown): void {
    this.faults.push(error);
  }
}

/** A listener on a free port in front of an {@link ArrayStore}. Disposing it fails if there was a fault. */
export class TestServer {
  readonly store: ArrayStore;
  readonly observer: RecordingObserver;
  readonly listener: RespListener;
  readonly subscriptions: SubscriptionOpener;

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const store = new ArrayStore(options);
    const observer = new RecordingObserver();
    const router = new Router(store);
    const subscriptions = new Subscriptions(router, { random: seededRandom(1) });
    const listener = await RespListener.start({
      router,
      subscriptions,
      version: '0.1.0',
      host: '127.0.0.1',
      port: 0,
      limits: respLimits(store.facts.appendMaxBytes, options.limits),
      protocolDefault: options.protocolDefault ?? 'auto',
      observer,
    });
    return new TestServer(store, observer, listener, subscriptions);
  }

  private constructor(
    store: ArrayStore,
    observer: RecordingObserver,
    listener: RespListener,
    subscriptions: SubscriptionOpener,
  ) {
    this.store = store;
    this.observer = observer;
    this.listener = listener;
    this.subscriptions = subscriptions;
  }

  get port(): number {
    return this.listener.address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener.stop(100);
    assert.deepEqual(this.observer.faults, []);
  }
}
