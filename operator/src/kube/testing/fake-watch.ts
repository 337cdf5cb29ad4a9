import type { ServerResponse } from 'node:http';
import type { JsonObject } from './field-sets.ts';
import type { Change, Kind, ObjectStore } from './object-store.ts';
import { Refusal } from './refusal.ts';
import { selectorOf } from './selectors.ts';

export interface FakeWatchTarget {
  readonly kind: Kind;
  readonly namespace: string | null;
  readonly query: URLSearchParams;
}

/** One watch: tells its response what happens, until its time is over. */
export class FakeWatch {
  readonly #store: ObjectStore;
  readonly #response: ServerResponse;
  readonly #target: FakeWatchTarget;
  readonly #matches: (object: JsonObject) => boolean;
  /** What is to be told when it is no longer frozen. */
  #held: object[] = [];
  #isFrozen = false;

  constructor(store: ObjectStore, response: ServerResponse, target: FakeWatchTarget) {
    this.#store = store;
    this.#response = response;
    this.#target = target;
    this.#matches = selectorOf(target.query, target.namespace);
  }

  set isFrozen(value: boolean) {
    this.#isFrozen = value;
    if (value) return;
    for (const event of this.#held.splice(0)) this.#send(event);
  }

  start(): void {
    const { query } = this.#target;
    this.#response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const from = Number(query.get('resourceVersion') ?? 0);
    try {
      if (from === 0) this.#tellAll();
      else for (const change of this.#store.changesAfter(from)) this.#tell(change);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const { code, reason, message } = error;
      const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
      this.#send({ type: 'ERROR', object });
      this.#response.end();
      return;
    }
    const stop = this.#store.onChange((change) => {
      this.#tell(change);
    });
    const timer = setTimeout(() => this.end(), Number(query.get('timeoutSeconds') ?? 1800) * 1000);
    this.#response.once('close', () => {
      clearTimeout(timer);
      stop();
    });
  }

  bookmark(): void {
    const { kind, query } = this.#target;
    if (query.get('allowWatchBookmarks') !== 'true') return;
    const metadata = { resourceVersion: String(this.#store.revision), creationTimestamp: null };
    this.#send({ type: 'BOOKMARK', object: { kind: kind.type.kind, metadata } });
  }

  /** As the server does when the time is over. */
  end(): void {
    if (this.#isFrozen) return;
    this.bookmark();
    this.#response.end();
  }

  #tellAll(): void {
    for (const object of this.#store.list(this.#target.kind).filter(this.#matches)) {
      this.#send({ type: 'ADDED', object });
    }
  }

  #tell({ kind, type, object, previous }: Change): void {
    if (kind !== this.#target.kind) return;
    const is = this.#matches(object) && type !== 'DELETED';
    const was = previous !== null && this.#matches(previous);
    const shown = this.#store.shown(kind, object);
    if (is) this.#send({ type: was ? 'MODIFIED' : 'ADDED', object: shown });
    else if (was) this.#send({ type: 'DELETED', object: shown });
  }

  #send(event: object): void {
    if (this.#isFrozen) this.#held.push(event);
    else if (!this.#response.writableEnded) this.#response.write(`${JSON.stringify(event)}\n`);
  }
}
