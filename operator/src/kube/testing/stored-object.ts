/** What the fake API server knows of any object. */
import { isRecord, type Json, type JsonObject } from './field-sets.ts';

export type Metadata = Record<string, Json | undefined>;

export function metadataOf(object: JsonObject): Metadata {
  return isRecord(object['metadata']) ? object['metadata'] : {};
}

/** UIDs of the owners. */
export function ownersOf(object: JsonObject): Json[] {
  const references = metadataOf(object)['ownerReferences'];
  if (!Array.isArray(references)) return [];
  return references.map((reference) => (isRecord(reference) ? (reference['uid'] ?? null) : null));
}

const systemFields = [
  ...['name', 'namespace', 'uid', 'resourceVersion', 'generation', 'creationTimestamp'],
  ...['deletionTimestamp', 'deletionGracePeriodSeconds'],
];

/** What no writer can change. */
export function systemMetadata(object: JsonObject): JsonObject {
  const entries = Object.entries(metadataOf(object)).filter(([name]) =>
    systemFields.includes(name),
  );
  return Object.fromEntries(entries) as JsonObject;
}

/** What writers say. */
export function withoutSystem(metadata: Metadata): JsonObject {
  const entries = Object.entries(metadata).filter(
    ([name]) => !systemFields.includes(name) && name !== 'managedFields',
  );
  return Object.fromEntries(entries) as JsonObject;
}

/** What kind it is. */
export function head(object: JsonObject): JsonObject {
  return { apiVersion: object['apiVersion'] ?? null, kind: object['kind'] ?? null };
}

/** What `generation` counts the changes of. */
export function intentOf(object: JsonObject): JsonObject {
  const { metadata: _metadata, status: _status, ...intent } = object;
  return intent;
}
