/**
 * The API server over HTTP. What it promises:
 *
 * - Objects are raw JSON: fields that this program does not know survive a read and a write. Only `managedFields` are dropped.
 * - A write is sent once, after `mayWrite` let it pass. One that fails with code 0 may have been carried out.
 * - A list is of one moment, also where it comes in pages.
 */
import type { KubeConnection } from './connection.ts';
import { apiVersionOf, groupPath, resourcePath } from './paths.ts';
import { systemTimers, type Timers } from './timers.ts';
import { statusError, Transport, type Query, type TransportOptions } from './transport.ts';
import {
  KubeError,
  type DeleteOptions,
  type KubeApi,
  type KubeObject,
  type ListOptions,
  type ObjectMeta,
  type ObjectName,
  type ResourceType,
} from './types.ts';

export const FIELD_MANAGER = 'sierradb-operator';

const PAGE_SIZE = 500;
/** A list whose snapshot was compacted away under it begins again; more often than this means that it never gets through. */
const LIST_STARTS_MAX = 5;
const DISCOVERY_AGE_MAX_MS = 60_000;

export interface KubeClientOptions extends TransportOptions {
  /** Called before each write; what it throws is what the write rejects with, and nothing is sent. */
  readonly mayWrite?: () => void;
  /** Objects per page of a list; default 500. */
  readonly pageSize?: number;
}

export interface CallOptions {
  /** Ends the call, which then rejects with code 0. */
  readonly signal?: AbortSignal;
}

export interface Listed<T> {
  readonly items: T[];
  /** What a watch goes on from. */
  readonly resourceVersion: string;
}

export interface ObjectEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: T;
}

/** Nothing happened up to this version. */
export interface BookmarkEvent {
  readonly type: 'BOOKMARK';
  readonly object: { readonly metadata: { readonly resourceVersion: string } };
}

export type WatchEvent<T> = ObjectEvent<T> | BookmarkEvent;

export interface WatchOptions extends ListOptions {
  readonly resourceVersion: string;
  /** After it the server ends the watch. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
}

interface ListPage {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

interface GroupResources {
  readonly readAt: number;
  readonly plurals: ReadonlySet<string>;
}

export class KubeClient implements KubeApi {
  readonly #transport: Transport;
  readonly #mayWrite: () => void;
  readonly #pageSize: number;
  readonly #timers: Timers;
  readonly #groups = new Map<string, GroupResources>();

  constructor(connection: KubeConnection, options: KubeClientOptions = {}) {
    this.#transport = new Transport(connection, options);
    this.#mayWrite = options.mayWrite ?? ((): void => undefined);
    this.#pageSize = options.pageSize ?? PAGE_SIZE;
    this.#timers = options.timers ?? systemTimers;
  }

  async get<T extends KubeObject>(
    type: ResourceType,
    name: ObjectName,
    { signal }: CallOptions = {},
  ): Promise<T | null> {
    const path = resourcePath(type, name);
    try {
      return settled(type, await this.#transport.call({ method: 'GET', path, signal })) as T;
    } catch (error) {
      if (error instanceof KubeError && error.code === 404) return null;
      throw error;
    }
  }

  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}): Promise<T[]> {
    return (await this.listed<T>(type, options)).items;
  }

  /**
   * As `list`, with the version to watch from. `transform` makes the objects smaller page by page, so that the large ones are
   * never all in memory.
   */
  async listed<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
    more: CallOptions & { readonly transform?: (object: T) => T } = {},
  ): Promise<Listed<T>> {
    const { transform = (object: T): T => object, signal } = more;
    for (let start = 1; ; start += 1) {
      const items: T[] = [];
      let page = await this.#page(type, options, undefined, signal);
      try {
        for (;;) {
          for (const item of page.items) items.push(transform(settled(type, item) as T));
          const { continue: next = '', resourceVersion } = page.metadata;
          if (next === '') return { items, resourceVersion };
          page = await this.#page(type, options, next, signal);
        }
      } catch (error) {
        const isStale = error instanceof KubeError && error.code === 410;
        if (!isStale || start === LIST_STARTS_MAX) throw error;
      }
    }
  }

  /**
   * What happens after `resourceVersion`, until the server ends it. Rejects with KubeError: also for an `ERROR` event, with
   * code 410 where the version is too old. Watches are not begun again here; that is what Reflector is for.
   */
  async *watch<T extends KubeObject>(
    type: ResourceType,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void> {
    const { namespace, signal, resourceVersion, timeoutSeconds } = options;
    const path = resourcePath(type, { namespace });
    const query = {
      ...selectors(options),
      ...{ watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds },
    };
    for await (const line of this.#transport.lines(path, query, signal)) {
      const event = line as { readonly type: string; readonly object: unknown };
      if (event.type === 'ERROR') throw statusError(`watch of ${path}`, event.object, 500);
      if (event.type === 'BOOKMARK') yield event as BookmarkEvent;
      else {
        const kind = event.type as ObjectEvent<T>['type'];
        yield { type: kind, object: settled(type, event.object) as T };
      }
    }
  }

  create<T extends KubeObject>(
    type: ResourceType,
    object: T,
    { signal }: CallOptions = {},
  ): Promise<T> {
    const path = resourcePath(type, { namespace: object.metadata.namespace });
    return this.#write<T>(
      type,
      { method: 'POST', path, query: { fieldManager: FIELD_MANAGER }, signal },
      object,
    );
  }

  /** PUT of the whole object with its `resourceVersion`: compare-and-set. */
  replace<T extends KubeObject>(
    type: ResourceType,
    object: T,
    { signal }: CallOptions = {},
  ): Promise<T> {
    const path = resourcePath(type, object.metadata);
    const query = { fieldManager: FIELD_MANAGER };
    return this.#write<T>(type, { method: 'PUT', path, query, signal }, object);
  }

  apply<T extends KubeObject>(type: ResourceType, object: KubeObject): Promise<T> {
    const path = resourcePath(type, object.metadata);
    const query = { fieldManager: FIELD_MANAGER, force: true };
    const contentType = 'application/apply-patch+yaml';
    return this.#write<T>(type, { method: 'PATCH', path, query, contentType }, object);
  }

  replaceStatus<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const path = resourcePath(type, { ...object.metadata, subresource: 'status' });
    return this.#write<T>(
      type,
      { method: 'PUT', path, query: { fieldManager: FIELD_MANAGER } },
      object,
    );
  }

  patch<T extends KubeObject>(type: ResourceType, name: ObjectName, patch: object): Promise<T> {
    const path = resourcePath(type, name);
    const query = { fieldManager: FIELD_MANAGER };
    const contentType = 'application/merge-patch+json';
    return this.#write<T>(type, { method: 'PATCH', path, query, contentType }, patch);
  }

  async delete(
    type: ResourceType,
    name: ObjectName,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    this.#mayWrite();
    const path = resourcePath(type, name);
    try {
      await this.#transport.call({ method: 'DELETE', path, body: deleteOptions(options) });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.code === 404) return false;
      throw error;
    }
  }

  async evict(name: ObjectName, options: DeleteOptions = {}): Promise<boolean> {
    this.#mayWrite();
    const pods = { group: '', version: 'v1', plural: 'pods', kind: 'Pod' };
    const path = resourcePath(pods, { ...name, subresource: 'eviction' });
    const body = {
      ...{ apiVersion: 'policy/v1', kind: 'Eviction', metadata: name },
      deleteOptions: deleteOptions(options),
    };
    try {
      await this.#transport.call({ method: 'POST', path, body });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.code === 429) return false;
      throw error;
    }
  }

  /** Asks the server at most once a minute per group. */
  async serves(type: ResourceType): Promise<boolean> {
    const path = groupPath(type);
    const known = this.#groups.get(path);
    if (known !== undefined && this.#timers.now() - known.readAt < DISCOVERY_AGE_MAX_MS) {
      return known.plurals.has(type.plural);
    }
    const plurals = new Set(await this.#resourcesOf(path));
    this.#groups.set(path, { readAt: this.#timers.now(), plurals });
    return plurals.has(type.plural);
  }

  /** Ends all connections; what waits for an answer is rejected. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  async #page(
    type: ResourceType,
    options: ListOptions,
    next: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ListPage> {
    const path = resourcePath(type, { namespace: options.namespace });
    const query = { ...selectors(options), limit: this.#pageSize, continue: next };
    return (await this.#transport.call({ method: 'GET', path, query, signal })) as ListPage;
  }

  async #write<T extends KubeObject>(
    type: ResourceType,
    call: Omit<Parameters<Transport['call']>[0], 'body'>,
    body: object,
  ): Promise<T> {
    this.#mayWrite();
    return settled(type, await this.#transport.call({ ...call, body })) as T;
  }

  async #resourcesOf(path: string): Promise<string[]> {
    try {
      const list = await this.#transport.call({ method: 'GET', path });
      return (list as { resources: { name: string }[] }).resources.map(({ name }) => name);
    } catch (error) {
      if (error instanceof KubeError && error.code === 404) return [];
      throw error;
    }
  }
}

function selectors({ labelSelector, fieldSelector }: ListOptions): Query {
  return { labelSelector, fieldSelector };
}

function deleteOptions(options: DeleteOptions): object {
  const { uid, resourceVersion, propagation, gracePeriodSeconds } = options;
  const preconditions = {
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
  };
  return {
    ...{ apiVersion: 'v1', kind: 'DeleteOptions' },
    ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    propagationPolicy: propagation ?? 'Background',
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
  };
}

/** Items of a list do not say their kind; `managedFields` are often more than half of an object. */
function settled(type: ResourceType, json: unknown): KubeObject {
  const object = json as { metadata: ObjectMeta & { managedFields?: unknown } };
  delete object.metadata.managedFields;
  return { ...object, apiVersion: apiVersionOf(type), kind: type.kind };
}
