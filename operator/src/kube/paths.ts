import type { ResourceType } from './types.ts';

export interface ResourcePath {
  readonly namespace?: string | undefined;
  readonly name?: string;
  /** `status`, `eviction`. */
  readonly subresource?: string;
}

/** `/api/v1` or `/apis/apps/v1`. */
export function groupPath({ group, version }: ResourceType): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

/** Path of a collection, or with a name, of one object. */
export function resourcePath(type: ResourceType, path: ResourcePath = {}): string {
  const { namespace, name, subresource } = path;
  const parts = [groupPath(type)];
  if (type.isClusterScoped !== true) {
    if (namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
    // The path would be that of another thing, and "not found" the wrong answer.
    else if (name !== undefined) throw new Error(`${type.kind} ${name} needs a namespace`);
  }
  parts.push(type.plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join('/');
}

/** `v1` or `apps/v1`. */
export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`;
}
