/**
 * Server-side apply, simplified: an object as the set of its leaves, each with a path. Lists of things with a name are maps by that
 * name (the table below is the part of the API's schema that matters here), all other lists are one value.
 */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = Record<string, Json>;

/** Field name → what identifies an item of the list under it. */
const listKeys: Readonly<Record<string, readonly string[]>> = {
  containers: ['name'],
  initContainers: ['name'],
  env: ['name'],
  volumes: ['name'],
  volumeMounts: ['mountPath'],
  imagePullSecrets: ['name'],
  ports: ['containerPort', 'port', 'protocol'],
  ownerReferences: ['uid'],
  topologySpreadConstraints: ['topologyKey', 'whenUnsatisfiable'],
  conditions: ['type'],
};

/** A step into an object, or `[{"name":"x"}]` into a list. */
type Step = string;
/** Between the steps of a path. */
export const SEPARATOR = '\u0000';

export function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Path → value of every leaf. An item of a keyed list is also there itself, with the value null. */
export function leavesOf(object: JsonObject): Map<string, Json> {
  const leaves = new Map<string, Json>();
  collect(object, [], leaves);
  for (const path of leaves.keys()) if (isIdentity(path)) leaves.delete(path);
  return leaves;
}

/** What names the object is nobody's. */
function isIdentity(path: string): boolean {
  const [first, second] = path.split(SEPARATOR);
  if (first === 'apiVersion' || first === 'kind') return true;
  return (
    first === 'metadata' &&
    !['labels', 'annotations', 'ownerReferences', 'finalizers'].includes(second ?? '')
  );
}

function collect(value: Json, steps: readonly Step[], leaves: Map<string, Json>): void {
  const keys = Array.isArray(value) ? keysOf(steps.at(-1) ?? '', value) : null;
  if (isRecord(value) && Object.keys(value).length > 0) {
    for (const [name, child] of Object.entries(value)) collect(child, [...steps, name], leaves);
  } else if (keys !== null) {
    for (const item of value as JsonObject[]) {
      const at = [...steps, itemStep(item, keys)];
      leaves.set(at.join(SEPARATOR), null);
      for (const [name, child] of Object.entries(item)) collect(child, [...at, name], leaves);
    }
  } else leaves.set(steps.join(SEPARATOR), value);
}

function keysOf(field: string, list: readonly Json[]): readonly string[] | null {
  const keys = listKeys[field];
  return keys !== undefined && list.length > 0 && list.every(isRecord) ? keys : null;
}

function itemStep(item: JsonObject, keys: readonly string[]): Step {
  return `[${JSON.stringify(keys.map((key) => item[key] ?? null))}]`;
}

/** Sets one leaf of `root`, with the objects and items on the way to it. */
export function setLeaf(root: JsonObject, path: string, value: Json): void {
  const steps = path.split(SEPARATOR);
  let here: Json = root;
  for (const [place, step] of steps.entries()) {
    const isEnd = place === steps.length - 1;
    if (step.startsWith('[')) here = itemOf(here as Json[], step, steps[place - 1] ?? '');
    else {
      const parent = here as JsonObject;
      if (isEnd) {
        // An empty object says that it is to be there, not that nothing may be in it.
        if (!isEmpty(value) || !isRecord(parent[step])) parent[step] = structuredClone(value);
      } else {
        const isList = steps[place + 1]?.startsWith('[') === true;
        const child = parent[step];
        if (isList ? !Array.isArray(child) : !isRecord(child)) parent[step] = isList ? [] : {};
        here = parent[step] as Json;
      }
    }
  }
}

function itemOf(list: Json[], step: Step, field: string): JsonObject {
  const keys = listKeys[field] ?? [];
  const found = list.find((item) => isRecord(item) && itemStep(item, keys) === step);
  if (found !== undefined) return found as JsonObject;
  const values = JSON.parse(step.slice(1, -1)) as Json[];
  const entries = keys.map((key, place) => [key, values[place] ?? null] as const);
  const item: JsonObject = Object.fromEntries(entries.filter(([, value]) => value !== null));
  list.push(item);
  return item;
}

/** Removes one leaf, or a whole item, and what became empty above it. */
export function removeLeaf(root: JsonObject, path: string): void {
  removeAt(root, path.split(SEPARATOR), '');
}

function removeAt(here: Json | undefined, steps: readonly Step[], field: string): void {
  const [step = '', ...rest] = steps;
  if (Array.isArray(here)) {
    const keys = listKeys[field] ?? [];
    const place = here.findIndex((item) => isRecord(item) && itemStep(item, keys) === step);
    if (place === -1) return;
    if (rest.length > 0) removeAt(here[place], rest, '');
    if (rest.length === 0 || isEmpty(here[place])) here.splice(place, 1);
  } else if (isRecord(here) && step in here) {
    if (rest.length > 0) removeAt(here[step], rest, step);
    if (rest.length === 0 || isEmpty(here[step])) Reflect.deleteProperty(here, step);
  }
}

function isEmpty(value: Json | undefined): boolean {
  return (
    (Array.isArray(value) && value.length === 0) ||
    (isRecord(value) && Object.keys(value).length === 0)
  );
}

/** RFC 7396. */
export function mergePatched(target: Json | undefined, patch: Json): Json {
  if (!isRecord(patch)) return patch;
  const merged: JsonObject = isRecord(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) Reflect.deleteProperty(merged, name);
    else merged[name] = mergePatched(merged[name], value);
  }
  return merged;
}

/** Whether two values are the same but for the order of their fields. */
export function isSame(left: Json | undefined, right: Json | undefined): boolean {
  return canonical(left) === canonical(right);
}

function canonical(value: Json | undefined): string {
  return JSON.stringify(value, (_name, part: Json) =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).sort()) : part,
  );
}
