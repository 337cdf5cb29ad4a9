/**
 * A subscriber that remembers how far it has come, and goes on from there on another connection, as a projection does.
 * Events must come one after the other: none left out, none twice, cursors from 0.
 */
import assert from 'node:assert/strict';

import type { WireEvent } from '../../client/event.ts';
import { CLOSED, WireClient } from './wire-client.ts';

/** What is read: streams by name, or partitions by number. */
export interface Selection {
  readonly kind: 'streams' | 'partitions';
  /** Arguments of ESUB or EPSUB in front of FROM. */
  readonly selector: readonly string[];
  /** Where targets begin that have shown nothing yet. */
  readonly from: number | 'LATEST';
  readonly window?: number;
}

export class Reader implements Disposable {
  /** Ids of events, per stream, in the order in which they came. */
  readonly streams: Map<string, string[]> = new Map();
  count = 0;
  readonly #selection: Selection;
  /** Position of the next event of each target that has shown one. */
  readonly #next = new Map<string, number>();
  #client: WireClient | null = null;
  #cursor = 0;
  #failure: Error | null = null;
  #look: (() => void) | null = null;

  constructor(selection: Selection) {
    this.#selection = selection;
  }

  get client(): WireClient {
    assert(this.#client !== null, 'the reader is connected');
    return this.#client;
  }

  /** Goes on where it has stopped. Resolves when the subscription is open. */
  async connect(port: number): Promise<void> {
    const client = await WireClient.connect(port);
    this.#client = client;
    this.#cursor = 0;
    this.#failure = null;
    client.onEvent = (subscription, cursor, event): void => {
      this.#take(subscription, cursor, event);
    };
    client.onEnd = (error): void => {
      this.#fail(error);
    };
    await client.call(...this.#command());
  }

  /** Resolves when `done`; rejects when something was wrong or the connection is gone. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => (this.#look = resolve));
    }
  }

  /** Throws what was wrong, if anything; a connection that has ended is no fault. */
  check(): void {
    if (this.#failure !== null && this.#failure.message !== CLOSED) throw this.#failure;
  }

  [Symbol.dispose](): void {
    this.#client?.[Symbol.dispose]();
  }

  #command(): string[] {
    const { kind, selector, from, window } = this.#selection;
    const pairs = [...this.#next].map(([target, next]) => `${target}=${String(next)}`);
    const rest = from === 'LATEST' ? [] : ['DEFAULT', String(from)];
    const isMapped = pairs.length > 0;
    return [
      ...(kind === 'streams' ? ['ESUB'] : ['EPSUB']),
      ...selector,
      'FROM',
      ...(isMapped ? ['MAP', ...pairs, ...(kind === 'partitions' ? rest : [])] : [String(from)]),
      ...(window === undefined ? [] : ['WINDOW', String(window)]),
    ];
  }

  #take(subscription: string, cursor: number, event: WireEvent): void {
    try {
      assert.equal(cursor, this.#cursor, 'cursors count from 0');
      this.#cursor += 1;
      const isStream = this.#selection.kind === 'streams';
      const target = isStream ? event.streamId : String(event.partition);
      const position = isStream ? event.version : event.sequence;
      const { from } = this.#selection;
      const expected = this.#next.get(target) ?? (from === 'LATEST' ? position : from);
      assert.equal(position, expected, `the next event of ${target}`);
      this.#next.set(target, position + 1);
      this.#remember(event);
    } catch (error) {
      this.#fail(error as Error);
    }
    const { window } = this.#selection;
    const isHalf = window !== undefined && this.#cursor % Math.ceil(window / 2) === 0;
    if (isHalf) this.#client?.tell('EACK', subscription, String(cursor));
    this.#look?.();
  }

  #remember({ streamId, id }: WireEvent): void {
    const ids = this.streams.get(streamId);
    if (ids === undefined) this.streams.set(streamId, [id]);
    else ids.push(id);
    this.count += 1;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#look?.();
  }
}
