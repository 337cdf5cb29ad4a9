/**
 * An API server in this process, over real HTTP on a port of its own: what `api-suite.ts` asks of it, a real one answers too.
 *
 * What it does not do: check objects against schemas (beyond `KindTraits.check`), authenticate, run controllers. Whoever needs pods
 * to appear puts them there; a pod with `spec.nodeName` that is deleted stays, with `deletionTimestamp`, until `remove` plays
 * the kubelet.
 *
 *     await using server = await FakeApiServer.open();
 *     const client = new KubeClient(server.connection);
 *     server.put(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name: 'a' } });
 *     server.failRequest(2, { code: null, takesEffect: true });   // the second request from now is done but not answered
 *     assert.deepEqual(server.writes, []);                        // `PUT /apis/…` and so on
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { KubeConnection } from '../connection.ts';
import type { KubeObject, ObjectName, ResourceType } from '../types.ts';
import { isRecord, type JsonObject } from './field-sets.ts';
import { knownKinds, type KindTraits } from './kind-traits.ts';
import { ObjectStore } from './object-store.ts';
import { Refusal } from './refusal.ts';
import { answerOf, targetOf, type Request } from './fake-api-requests.ts';
import { FakeWatch } from './fake-watch.ts';

export interface SeenRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: JsonObject | null;
}

export interface Fault {
  /** HTTP status; null: the connection is cut without an answer. */
  readonly code: number | null;
  readonly reason?: string;
  readonly retryAfterSeconds?: number;
  /** The request is carried out all the same. */
  readonly takesEffect?: boolean;
}

export class FakeApiServer {
  /** Requests since the start, or since the test cleared the list; watches too. */
  readonly requests: SeenRequest[] = [];
  /** Asked about each request. */
  faultOf: (request: SeenRequest) => Fault | null = () => null;
  readonly #server: Server;
  readonly #store = new ObjectStore();
  readonly #watches = new Set<FakeWatch>();
  /** Request number, from now → what befalls it. */
  #faults: { left: number; readonly fault: Fault }[] = [];
  #thaw: PromiseWithResolvers<void> | null = null;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    for (const [type, traits] of knownKinds) this.register(type, traits);
  }

  static async open(): Promise<FakeApiServer> {
    const server = new FakeApiServer();
    await server.#listen(0);
    return server;
  }

  get connection(): KubeConnection {
    const { port } = this.#server.address() as AddressInfo;
    return {
      ...{ server: `http://127.0.0.1:${port}`, ca: null, cert: null, key: null, serverName: null },
      ...{ isUnverified: false, namespace: 'default', token: () => Promise.resolve(null) },
    };
  }

  /** Requests that were to change something: `PATCH /apis/apps/v1/namespaces/default/statefulsets/orders`. */
  get writes(): string[] {
    return this.requests
      .filter(({ method }) => method !== 'GET')
      .map(({ method, path }) => `${method} ${path}`);
  }

  get revision(): number {
    return this.#store.revision;
  }

  /** How many watches are open. */
  get watchCount(): number {
    return this.#watches.size;
  }

  /** Resolves when so many watches are open. */
  async watched(count: number): Promise<void> {
    while (this.#watches.size !== count) await new Promise(setImmediate);
  }

  /** Core and `apps` kinds and the like are known (`kind-traits.ts`); others are added here, or known ones changed. */
  register(
    type: ResourceType,
    traits: KindTraits = { hasStatus: true, hasGeneration: true },
  ): void {
    this.#store.register(type, traits);
  }

  /** Creates or replaces, the status too. Watches see it. */
  put<T extends KubeObject>(type: ResourceType, object: T): T {
    const json = structuredClone(object) as unknown as JsonObject;
    return this.#store.put(this.#store.kindOf(type), json) as unknown as T;
  }

  /** As it is stored; not to be changed. */
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller knows the kind.
  get<T extends KubeObject>(type: ResourceType, name: ObjectName): T | null {
    return this.#store.find(this.#store.kindOf(type), name) as unknown as T | null;
  }

  objects<T extends KubeObject>(type: ResourceType): T[] {
    return this.#store.list(this.#store.kindOf(type)) as unknown as T[];
  }

  /** As a DELETE of somebody else would. */
  delete(type: ResourceType, name: ObjectName): void {
    this.#store.delete(this.#store.kindOf(type), name);
  }

  /** At once, whatever finalizers it has. */
  remove(type: ResourceType, name: ObjectName): void {
    this.#store.remove(this.#store.kindOf(type), name);
  }

  /** The `count`-th request from now fails; 1 is the next one. */
  failRequest(count: number, fault: Fault): void {
    this.#faults.push({ left: count, fault });
  }

  /** Requests wait, watches say nothing, until `thaw`. */
  freeze(): void {
    this.#thaw ??= Promise.withResolvers<void>();
    for (const watch of this.#watches) watch.isFrozen = true;
  }

  thaw(): void {
    this.#thaw?.resolve();
    this.#thaw = null;
    for (const watch of this.#watches) watch.isFrozen = false;
  }

  /** Forgets the history: lists that are being read in pages, and watches that go on from before now, get a 410. */
  compact(): void {
    this.#store.compact();
  }

  /** Tells every watch the present version. */
  bookmark(): void {
    for (const watch of this.#watches) watch.bookmark();
  }

  /** The server ends all watches, as it does after their time. */
  endWatches(): void {
    for (const watch of this.#watches) watch.end();
  }

  /** All connections break, watches too. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  /** No connection any more, until `resume`, which takes the same port again. */
  async stop(): Promise<() => Promise<void>> {
    const { port } = this.#server.address() as AddressInfo;
    await this.close();
    return () => this.#listen(port);
  }

  async close(): Promise<void> {
    this.thaw();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '/', 'http://fake');
    const body = parsed(await text(incoming).catch(() => ''));
    const { method = 'GET', headers } = incoming;
    const seen = { method, path: url.pathname, query: url.searchParams, body };
    this.requests.push(seen);
    const fault = this.#nextFault() ?? this.faultOf(seen);
    while (this.#thaw !== null) await this.#thaw.promise;
    if (response.destroyed) return;
    const request = { ...seen, contentType: headers['content-type'] ?? '' };
    if (fault !== null) this.#fail(request, response, fault);
    else if (url.searchParams.has('watch')) this.#watch(request, response);
    else this.#answer(request, response);
  }

  #answer(request: Request, response: ServerResponse): void {
    try {
      const { code, body } = answerOf(this.#store, request);
      send(response, code, body);
    } catch (error) {
      refuse(response, error);
    }
  }

  #watch(request: Request, response: ServerResponse): void {
    try {
      const { kind, namespace } = targetOf(this.#store, request.path);
      const watch = new FakeWatch(this.#store, response, {
        ...{ kind, namespace: namespace ?? null, query: request.query },
      });
      this.#watches.add(watch);
      response.once('close', () => this.#watches.delete(watch));
      watch.start();
    } catch (error) {
      refuse(response, error);
    }
  }

  #fail(request: Request, response: ServerResponse, fault: Fault): void {
    if (fault.takesEffect === true) {
      try {
        answerOf(this.#store, request);
      } catch (error) {
        // What is refused has no effect, and nobody hears why.
        if (!(error instanceof Refusal)) throw error;
      }
    }
    if (fault.code === null) {
      response.destroy();
      return;
    }
    const { retryAfterSeconds, reason = '' } = fault;
    if (retryAfterSeconds !== undefined) response.setHeader('retry-after', retryAfterSeconds);
    refuse(response, new Refusal(fault.code, reason, 'a fault that the test asked for'));
  }

  #nextFault(): Fault | null {
    for (const fault of this.#faults) fault.left -= 1;
    const due = this.#faults.find(({ left }) => left <= 0);
    this.#faults = this.#faults.filter((fault) => fault !== due);
    return due?.fault ?? null;
  }
}

function parsed(body: string): JsonObject | null {
  if (body === '') return null;
  const json: unknown = JSON.parse(body);
  return isRecord(json) ? json : null;
}

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(response: ServerResponse, error: unknown): void {
  const refusal =
    error instanceof Refusal ? error : new Refusal(500, 'InternalError', String(error));
  const { code, reason, message } = refusal;
  send(response, code, {
    ...{ kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure' },
    ...{ message, reason, code },
  });
}
