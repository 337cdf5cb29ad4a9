/** What the fake API server answers to everything but watches. */
import { apiVersionOf } from '../paths.ts';
import * as known from '../resources.ts';
import type { DeleteOptions, ObjectName } from '../types.ts';
import { isRecord, type Json, type JsonObject } from './field-sets.ts';
import type { Kind, ObjectStore } from './object-store.ts';
import { Refusal } from './refusal.ts';
import { selectorOf } from './selectors.ts';
import { metadataOf } from './stored-object.ts';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: JsonObject | null;
  readonly contentType: string;
}

export interface Answer {
  readonly code: number;
  readonly body: object;
}

export interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** Continue token → what is left of the list, with its version. */
const snapshots = new WeakMap<ObjectStore, Map<string, Snapshot>>();

interface Snapshot {
  readonly revision: number;
  readonly rest: readonly JsonObject[];
}

const pathPattern =
  /^(?<group>\/api\/[^/]+|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/(?<namespace>[^/]+))?(?:\/(?<plural>[^/]+))?(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;

export function targetOf(store: ObjectStore, path: string): Target {
  const {
    group = '',
    namespace,
    plural = '',
    name,
    subresource,
  } = pathPattern.exec(path)?.groups ?? {};
  const kind = store.kindAt(group, plural);
  const isMisplaced = kind?.type.isClusterScoped === true && namespace !== undefined;
  if (kind === null || isMisplaced) {
    throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
  }
  return { kind, namespace, name, subresource };
}

/** Throws Refusal. */
export function answerOf(store: ObjectStore, request: Request): Answer {
  const { groups } = pathPattern.exec(request.path) ?? {};
  if (groups?.['plural'] === undefined) return discovery(store, request.path);
  const target = targetOf(store, request.path);
  const { kind, namespace, name } = target;
  if (name === undefined) {
    if (request.method === 'GET') return { code: 200, body: list(store, target, request.query) };
    if (request.method === 'POST') return { code: 201, body: create(store, target, request) };
    throw notAllowed();
  }
  const objectName: ObjectName = { name, ...(namespace === undefined ? {} : { namespace }) };
  if (target.subresource === 'eviction') return evict(store, kind, objectName, request);
  if (target.subresource !== undefined && target.subresource !== 'status') throw notAllowed();
  switch (request.method) {
    case 'GET':
      return { code: 200, body: store.shown(kind, store.get(kind, objectName)) };
    case 'PUT':
    case 'PATCH':
      return { code: 200, body: store.shown(kind, change(store, target, objectName, request)) };
    case 'DELETE':
      return remove(store, kind, objectName, request.body);
    default:
      throw notAllowed();
  }
}

function discovery(store: ObjectStore, path: string): Answer {
  const kinds = store.kindsAt(path);
  if (kinds.length === 0) throw new Refusal(404, 'NotFound', 'there is no such group');
  const resources = kinds.map(({ type, traits }) => ({
    ...{ name: type.plural, kind: type.kind, namespaced: type.isClusterScoped !== true },
    verbs: ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete'],
    hasStatus: traits.hasStatus === true,
  }));
  return { code: 200, body: { kind: 'APIResourceList', groupVersion: path, resources } };
}

function list(store: ObjectStore, target: Target, query: URLSearchParams): object {
  const { kind, namespace } = target;
  const known = snapshots.get(store) ?? new Map<string, Snapshot>();
  snapshots.set(store, known);
  const token = query.get('continue') ?? '';
  let snapshot = known.get(token);
  if (token === '') {
    const matches = selectorOf(query, namespace ?? null);
    snapshot = { revision: store.revision, rest: store.list(kind).filter(matches) };
  }
  // A list in pages is of the moment when it was begun; the server keeps that only for a while.
  if (snapshot !== undefined && token !== '') store.changesAfter(snapshot.revision);
  if (snapshot === undefined) throw new Refusal(410, 'Expired', 'the continue token is too old');
  const limit = Number(query.get('limit') ?? 0) || Infinity;
  const items = snapshot.rest.slice(0, limit);
  const rest = snapshot.rest.slice(items.length);
  const next = rest.length === 0 ? '' : `page-${known.size + 1}`;
  if (next !== '') known.set(next, { revision: snapshot.revision, rest });
  const isCustom = kind.type.group.includes('.') && !kind.type.group.endsWith('.k8s.io');
  return {
    ...{ apiVersion: apiVersionOf(kind.type), kind: `${kind.type.kind}List` },
    metadata: {
      resourceVersion: String(snapshot.revision),
      ...(next === '' ? {} : { continue: next }),
    },
    items: items.map((object) => {
      const shown = store.shown(kind, object);
      // Items of built-in kinds do not say what they are.
      const { apiVersion: _apiVersion, kind: _kind, ...bare } = shown;
      return isCustom ? shown : bare;
    }),
  };
}

function create(store: ObjectStore, { kind, namespace }: Target, request: Request): object {
  const body = bodyOf(request);
  const { uid: _uid, resourceVersion, ...metadata } = metadataOf(body);
  if (resourceVersion !== undefined) {
    throw new Refusal(
      500,
      'InternalError',
      'resourceVersion should not be set on objects to be created',
    );
  }
  if (metadata['namespace'] !== undefined && metadata['namespace'] !== namespace) {
    throw new Refusal(400, 'BadRequest', 'the namespace does not match that of the path');
  }
  const placed = { ...metadata, ...(namespace === undefined ? {} : { namespace }) } as JsonObject;
  const object = store.create(kind, { ...body, metadata: placed }, `${managerOf(request)}/Update`);
  return store.shown(kind, object);
}

function change(
  store: ObjectStore,
  target: Target,
  name: ObjectName,
  request: Request,
): JsonObject {
  const { kind } = target;
  const body = bodyOf(request);
  const subresource = target.subresource === 'status' ? 'status' : undefined;
  if (subresource !== undefined && kind.traits.hasStatus !== true) {
    throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
  }
  const options = { subresource, manager: managerOf(request) } as const;
  if (request.method === 'PUT') return store.replace(kind, name, body, options);
  if (request.contentType.startsWith('application/merge-patch+json')) {
    return store.mergePatch(kind, name, body, options);
  }
  if (request.contentType.startsWith('application/apply-patch+yaml')) {
    if (!request.query.has('fieldManager')) {
      throw new Refusal(
        400,
        'BadRequest',
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value',
      );
    }
    const isForced = request.query.get('force') === 'true';
    return store.apply(kind, name, body, { ...options, isForced });
  }
  throw new Refusal(415, 'UnsupportedMediaType', `${request.contentType} is not supported`);
}

function remove(store: ObjectStore, kind: Kind, name: ObjectName, body: Json): Answer {
  const rest = store.delete(kind, name, deleteOptions(body));
  return { code: 200, body: rest ?? { kind: 'Status', apiVersion: 'v1', status: 'Success' } };
}

function deleteOptions(body: Json): DeleteOptions {
  if (!isRecord(body)) return {};
  const { preconditions, propagationPolicy, gracePeriodSeconds } = body;
  return {
    ...(isRecord(preconditions) ? preconditions : {}),
    ...(typeof propagationPolicy === 'string'
      ? { propagation: propagationPolicy as 'Foreground' | 'Background' | 'Orphan' }
      : {}),
    ...(typeof gracePeriodSeconds === 'number' ? { gracePeriodSeconds } : {}),
  };
}

function evict(store: ObjectStore, kind: Kind, name: ObjectName, request: Request): Answer {
  if (request.method !== 'POST' || kind.type.plural !== 'pods') throw notAllowed();
  const pod = store.get(kind, name);
  const phase = isRecord(pod['status']) ? pod['status']['phase'] : undefined;
  // A pod that does not run yet, or no more, is nothing that a budget counts.
  if (phase === 'Running') spendBudget(store, pod);
  store.delete(kind, name, deleteOptions(bodyOf(request)['deleteOptions'] ?? null));
  return { code: 201, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } };
}

function spendBudget(store: ObjectStore, pod: JsonObject): void {
  const kind = store.kindOf(known.podDisruptionBudgets);
  const { namespace, labels } = metadataOf(pod);
  const own = isRecord(labels) ? labels : {};
  for (const budget of store.list(kind)) {
    const spec = budget['spec'];
    const selector = isRecord(spec) && isRecord(spec['selector']) ? spec['selector'] : {};
    const wanted = Object.entries(isRecord(selector['matchLabels']) ? selector['matchLabels'] : {});
    const isIts = metadataOf(budget)['namespace'] === namespace;
    if (!isIts || !wanted.every(([label, value]) => own[label] === value)) continue;
    const status = isRecord(budget['status']) ? budget['status'] : {};
    const allowed = Number(status['disruptionsAllowed'] ?? 0);
    if (allowed < 1) {
      throw new Refusal(
        429,
        'TooManyRequests',
        "Cannot evict pod as it would violate the pod's disruption budget.",
      );
    }
    store.put(kind, { ...budget, status: { ...status, disruptionsAllowed: allowed - 1 } });
  }
}

function bodyOf({ body }: Request): JsonObject {
  if (body === null) throw new Refusal(400, 'BadRequest', 'a body is needed');
  return body;
}

function managerOf({ query }: Request): string {
  return query.get('fieldManager') ?? 'unknown';
}

function notAllowed(): Refusal {
  return new Refusal(405, 'MethodNotAllowed', 'the server does not allow this method');
}
