/**
 * The objects of a fake API server and what happened to them, without HTTP. Every change has a version of its own, from one counter
 * for all kinds; a write that changes nothing has none.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { apiVersionOf, groupPath } from '../paths.ts';
import type { DeleteOptions, ObjectName, ResourceType } from '../types.ts';
import { applied, FieldOwners, own } from './field-owners.ts';
import {
  isSame,
  isRecord,
  leavesOf,
  mergePatched,
  type Json,
  type JsonObject,
} from './field-sets.ts';
import type { KindTraits } from './kind-traits.ts';
import { Refusal } from './refusal.ts';
import {
  head,
  intentOf,
  metadataOf,
  ownersOf,
  systemMetadata,
  withoutSystem,
  type Metadata,
} from './stored-object.ts';

const HISTORY_MAX = 10_000;

export interface Change {
  readonly revision: number;
  readonly kind: Kind;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: JsonObject;
  readonly previous: JsonObject | null;
}

export interface Kind {
  readonly type: ResourceType;
  readonly traits: KindTraits;
  readonly entries: Map<string, Entry>;
}

interface Entry {
  object: JsonObject;
  owners: FieldOwners;
}

export interface WriteOptions {
  readonly subresource?: 'status' | undefined;
  readonly manager: string;
}

export class ObjectStore {
  readonly #kinds = new Map<string, Kind>();
  readonly #history: Change[] = [];
  readonly #changes = new EventEmitter<{ change: [Change] }>().setMaxListeners(0);
  #revision = 1;
  #compactedTo = 0;

  get revision(): number {
    return this.#revision;
  }

  register(type: ResourceType, traits: KindTraits): void {
    this.#kinds.set(`${groupPath(type)}/${type.plural}`, { type, traits, entries: new Map() });
  }

  /** `path` as in `/apis/apps/v1`. */
  kindAt(path: string, plural: string): Kind | null {
    return this.#kinds.get(`${path}/${plural}`) ?? null;
  }

  kindOf(type: ResourceType): Kind {
    const kind = this.kindAt(groupPath(type), type.plural);
    if (kind === null) throw new Error(`${type.plural} are not registered`);
    return kind;
  }

  kindsAt(path: string): Kind[] {
    return [...this.#kinds.values()].filter(({ type }) => groupPath(type) === path);
  }

  find(kind: Kind, name: ObjectName): JsonObject | null {
    return kind.entries.get(keyOf(name))?.object ?? null;
  }

  get(kind: Kind, name: ObjectName): JsonObject {
    return this.#entry(kind, name).object;
  }

  /** In the order of their names. */
  list(kind: Kind): JsonObject[] {
    return [...kind.entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { object }]) => object);
  }

  create(kind: Kind, given: JsonObject, manager: string): JsonObject {
    const object = structuredClone(given);
    const metadata: Metadata = { ...metadataOf(object) };
    if (metadata['name'] === undefined && typeof metadata['generateName'] === 'string') {
      metadata['name'] = `${metadata['generateName']}${randomUUID().slice(0, 5)}`;
    }
    if (typeof metadata['name'] !== 'string' || metadata['name'] === '') {
      throw invalid(kind, '', 'metadata.name: Required value: name or generateName is required');
    }
    if (kind.type.isClusterScoped !== true && typeof metadata['namespace'] !== 'string') {
      throw new Refusal(400, 'BadRequest', 'an object of this kind needs a namespace');
    }
    const key = keyOf(metadata as unknown as ObjectName);
    if (kind.entries.has(key)) {
      throw new Refusal(409, 'AlreadyExists', `${kind.type.plural} "${key}" already exists`);
    }
    metadata['uid'] ??= randomUUID();
    metadata['creationTimestamp'] = `${new Date().toISOString().slice(0, 19)}Z`;
    if (kind.traits.hasGeneration === true) metadata['generation'] = 1;
    delete metadata['managedFields'];
    object['apiVersion'] = apiVersionOf(kind.type);
    object['kind'] = kind.type.kind;
    object['metadata'] = metadata as JsonObject;
    if (kind.traits.hasStatus === true) Reflect.deleteProperty(object, 'status');
    return this.#add(kind, key, object, manager);
  }

  /** Creates or replaces, the status too, and asks nobody. */
  put(kind: Kind, given: JsonObject): JsonObject {
    const name = metadataOf(given) as unknown as ObjectName;
    const status = given['status'] === undefined ? {} : { status: given['status'] };
    const entry = kind.entries.get(keyOf(name));
    if (entry === undefined) {
      this.create(kind, given, 'test/Update');
      if (given['status'] === undefined) return this.get(kind, name);
      const added = this.#entry(kind, name);
      return this.#change(kind, added, { ...added.object, ...status }, 'test');
    }
    const metadata = { ...systemMetadata(entry.object), ...withoutSystem(metadataOf(given)) };
    return this.#change(kind, entry, { ...structuredClone(given), ...status, metadata }, 'test');
  }

  replace(kind: Kind, name: ObjectName, given: JsonObject, options: WriteOptions): JsonObject {
    const entry = this.#entry(kind, name);
    const { resourceVersion, uid, name: givenName } = metadataOf(given);
    if (givenName !== name.name) {
      throw new Refusal(
        400,
        'BadRequest',
        'the name of the object does not match the one in the URL',
      );
    }
    if (resourceVersion === undefined && kind.traits.isOverwritable !== true) {
      throw invalid(
        kind,
        name.name,
        'metadata.resourceVersion: Invalid value: 0x0: must be specified for an update',
      );
    }
    this.#checkPreconditions(kind, entry, {
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
      ...(typeof uid === 'string' ? { uid } : {}),
    });
    return this.#change(kind, entry, this.#merged(kind, entry, given, options), options.manager);
  }

  mergePatch(kind: Kind, name: ObjectName, patch: JsonObject, options: WriteOptions): JsonObject {
    const entry = this.#entry(kind, name);
    const { resourceVersion } = metadataOf(patch);
    if (typeof resourceVersion === 'string') {
      this.#checkPreconditions(kind, entry, { resourceVersion });
    }
    const given = mergePatched(entry.object, patch) as JsonObject;
    return this.#change(kind, entry, this.#merged(kind, entry, given, options), options.manager);
  }

  apply(
    kind: Kind,
    name: ObjectName,
    intent: JsonObject,
    options: WriteOptions & { readonly isForced: boolean },
  ): JsonObject {
    if (metadataOf(intent)['managedFields'] !== undefined) {
      throw new Refusal(400, 'BadRequest', 'metadata.managedFields must be nil');
    }
    const manager = `${options.manager}/Apply${options.subresource ?? ''}`;
    const wanted = this.#applicable(kind, intent, options);
    const existing = kind.entries.get(keyOf(name));
    if (existing === undefined) {
      if (metadataOf(intent)['resourceVersion'] !== undefined) {
        throw new Refusal(409, 'Conflict', 'the object that was to be changed is not there');
      }
      if (options.subresource !== undefined) throw notFound(kind, name);
      const metadata = { ...metadataOf(intent), ...name } as JsonObject;
      const created = this.create(kind, { ...intent, metadata }, manager);
      this.#entry(kind, name).owners.set(manager, wanted.keys());
      return created;
    }
    const { resourceVersion, uid } = metadataOf(intent);
    this.#checkPreconditions(kind, existing, {
      ...(typeof resourceVersion === 'string' ? { resourceVersion } : {}),
      ...(typeof uid === 'string' ? { uid } : {}),
    });
    const owners = existing.owners.copy();
    const next = applied(existing.object, owners, wanted, manager, options.isForced);
    owners.set(manager, wanted.keys());
    const changed = this.#change(kind, existing, next, null);
    existing.owners = owners;
    return changed;
  }

  /** Null where it is gone at once; else the object, which something keeps for now. */
  delete(kind: Kind, name: ObjectName, options: DeleteOptions = {}): JsonObject | null {
    const entry = this.#entry(kind, name);
    this.#checkPreconditions(kind, entry, options);
    const dependents = this.#dependentsOf(entry.object);
    if (options.propagation === 'Orphan') {
      for (const [dependentKind, dependent] of dependents)
        this.#orphan(dependentKind, dependent, entry);
    } else if (options.propagation === 'Foreground') {
      for (const [dependentKind, { object }] of dependents) {
        this.delete(dependentKind, metadataOf(object) as unknown as ObjectName, {
          propagation: 'Foreground',
        });
      }
    }
    const { finalizers, deletionTimestamp } = metadataOf(entry.object);
    const isKept = Array.isArray(finalizers) && finalizers.length > 0;
    if (!isKept && (options.gracePeriodSeconds === 0 || !isOnNode(kind, entry.object))) {
      this.remove(kind, name);
      return null;
    }
    if (deletionTimestamp !== undefined) return entry.object;
    const metadata = {
      ...metadataOf(entry.object),
      deletionTimestamp: `${new Date().toISOString().slice(0, 19)}Z`,
      deletionGracePeriodSeconds: options.gracePeriodSeconds ?? 30,
    } as JsonObject;
    return this.#change(kind, entry, { ...entry.object, metadata }, null);
  }

  /** Whatever keeps it; what only it owned goes too. */
  remove(kind: Kind, name: ObjectName): void {
    const entry = kind.entries.get(keyOf(name));
    if (entry === undefined) return;
    kind.entries.delete(keyOf(name));
    const revision = (this.#revision += 1);
    const metadata = {
      ...metadataOf(entry.object),
      resourceVersion: String(revision),
    } as JsonObject;
    const object = { ...entry.object, metadata };
    this.#tell({ revision, kind, type: 'DELETED', object, previous: entry.object });
    for (const [dependentKind, dependent] of this.#dependentsOf(entry.object)) {
      if (this.#hasOwner(dependent.object)) continue;
      const dependentName = metadataOf(dependent.object) as unknown as ObjectName;
      if (dependentKind.entries.has(keyOf(dependentName)))
        this.delete(dependentKind, dependentName);
    }
  }

  /** Changes after `revision`; rejects with 410 where they are not known any more. */
  changesAfter(revision: number): Change[] {
    if (revision < this.#compactedTo) {
      throw new Refusal(
        410,
        'Expired',
        `too old resource version: ${revision} (${this.#compactedTo})`,
      );
    }
    return this.#history.filter((change) => change.revision > revision);
  }

  onChange(listener: (change: Change) => void): () => void {
    this.#changes.on('change', listener);
    return () => void this.#changes.off('change', listener);
  }

  /** Forgets what happened until now. */
  compact(): void {
    this.#history.length = 0;
    this.#compactedTo = this.#revision;
  }

  /** `managedFields` as the server shows them. */
  shown(kind: Kind, object: JsonObject): JsonObject {
    const owners = kind.entries.get(keyOf(metadataOf(object) as unknown as ObjectName))?.owners;
    const managedFields = (owners?.managers ?? []).map((id) => {
      const [manager = '', operation = ''] = id.split('/');
      return { manager, operation: operation.slice(0, 6), fieldsType: 'FieldsV1', fieldsV1: {} };
    });
    return { ...object, metadata: { ...metadataOf(object), managedFields } };
  }

  #entry(kind: Kind, name: ObjectName): Entry {
    const entry = kind.entries.get(keyOf(name));
    if (entry === undefined) throw notFound(kind, name);
    return entry;
  }

  #checkPreconditions(kind: Kind, entry: Entry, wanted: DeleteOptions): void {
    const { uid, resourceVersion, name } = metadataOf(entry.object);
    const isOther = wanted.uid !== undefined && wanted.uid !== uid;
    const isNewer =
      wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion;
    if (!isOther && !isNewer) return;
    const what = `Operation cannot be fulfilled on ${kind.type.plural} ${JSON.stringify(name)}`;
    throw new Refusal(409, 'Conflict', `${what}: the object has been modified`);
  }

  /** What a write through the object itself, or its status, makes of it. */
  #merged(kind: Kind, entry: Entry, given: JsonObject, options: WriteOptions): JsonObject {
    const { object } = entry;
    if (options.subresource === 'status') {
      return { ...object, ...(given['status'] === undefined ? {} : { status: given['status'] }) };
    }
    const metadata = {
      ...withoutSystem(metadataOf(given)),
      ...systemMetadata(object),
    };
    const next: JsonObject = { ...given, ...head(object), metadata };
    if (kind.traits.hasStatus !== true) return next;
    Reflect.deleteProperty(next, 'status');
    return { ...next, ...(object['status'] === undefined ? {} : { status: object['status'] }) };
  }

  #applicable(kind: Kind, intent: JsonObject, { subresource }: WriteOptions): Map<string, Json> {
    const { status, ...rest } = intent;
    if (subresource === 'status') return leavesOf(status === undefined ? {} : { status });
    return leavesOf(kind.traits.hasStatus === true ? rest : intent);
  }

  #add(kind: Kind, key: string, object: JsonObject, manager: string): JsonObject {
    kind.traits.prepare?.(object);
    const refused = kind.traits.check?.(object, null) ?? null;
    if (refused !== null) throw invalid(kind, key, refused);
    const revision = (this.#revision += 1);
    object['metadata'] = { ...metadataOf(object), resourceVersion: String(revision) };
    const owners = new FieldOwners();
    owners.set(manager, leavesOf(object).keys());
    kind.entries.set(key, { object, owners });
    this.#tell({ revision, kind, type: 'ADDED', object, previous: null });
    return object;
  }

  /** `manager` owns what it changed; null: that is settled already. */
  #change(kind: Kind, entry: Entry, given: JsonObject, manager: string | null): JsonObject {
    const previous = entry.object;
    const object = structuredClone(given);
    kind.traits.prepare?.(object);
    if (isSame(object, previous)) return previous;
    const name = metadataOf(previous) as unknown as ObjectName;
    const refused = kind.traits.check?.(object, previous) ?? null;
    if (refused !== null) throw invalid(kind, name.name, refused);
    const revision = (this.#revision += 1);
    const metadata = { ...metadataOf(object), resourceVersion: String(revision) } as JsonObject;
    if (kind.traits.hasGeneration === true && !isSame(intentOf(object), intentOf(previous))) {
      metadata['generation'] = Number(metadataOf(previous)['generation'] ?? 0) + 1;
    }
    object['metadata'] = metadata;
    if (manager !== null) own(entry.owners, manager, leavesOf(previous), leavesOf(object));
    entry.object = object;
    this.#tell({ revision, kind, type: 'MODIFIED', object, previous });
    const { finalizers, deletionTimestamp } = metadata;
    const isFree = !Array.isArray(finalizers) || finalizers.length === 0;
    if (deletionTimestamp !== undefined && isFree && !isOnNode(kind, object))
      this.remove(kind, name);
    return object;
  }

  #tell(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > HISTORY_MAX) {
      this.#compactedTo = this.#history.shift()?.revision ?? this.#compactedTo;
    }
    this.#changes.emit('change', change);
  }

  #dependentsOf(owner: JsonObject): (readonly [Kind, Entry])[] {
    const { uid } = metadataOf(owner);
    return [...this.#kinds.values()].flatMap((kind) =>
      [...kind.entries.values()]
        .filter(({ object }) => ownersOf(object).includes(uid ?? null))
        .map((entry) => [kind, entry] as const),
    );
  }

  #hasOwner(object: JsonObject): boolean {
    const uids = ownersOf(object);
    return [...this.#kinds.values()].some(({ entries }) =>
      [...entries.values()].some((entry) => uids.includes(metadataOf(entry.object)['uid'] ?? null)),
    );
  }

  #orphan(kind: Kind, entry: Entry, owner: Entry): void {
    const { uid } = metadataOf(owner.object);
    const references = metadataOf(entry.object)['ownerReferences'] as JsonObject[];
    const ownerReferences = references.filter((reference) => reference['uid'] !== uid);
    const metadata = { ...metadataOf(entry.object), ownerReferences } as JsonObject;
    this.#change(kind, entry, { ...entry.object, metadata }, null);
  }
}

function keyOf({ namespace, name }: ObjectName): string {
  return `${namespace ?? ''}/${name}`;
}

function notFound(kind: Kind, { name }: ObjectName): Refusal {
  return new Refusal(404, 'NotFound', `${kind.type.plural} "${name}" not found`);
}

function invalid(kind: Kind, name: string, why: string): Refusal {
  return new Refusal(422, 'Invalid', `${kind.type.kind} "${name}" is invalid: ${why}`);
}

/** A pod that was given to a node stays until its kubelet has ended it. */
function isOnNode(kind: Kind, object: JsonObject): boolean {
  const { spec } = object;
  return kind.type.plural === 'pods' && isRecord(spec) && typeof spec['nodeName'] === 'string';
}
