/**
 * Children are applied when they are missing, when the intent is another one, or when somebody has changed what it says. What is
 * as it should be is left alone: a cluster that has converged is not written to.
 */
import type { KubeApi, KubeObject, ObjectName, ResourceType } from '../kube/types.ts';
import type { Child } from '../resources/index.ts';
import { annotations, labels } from '../resources/names.ts';

export class ChildKeeper {
  readonly #kube: KubeApi;
  /** By kind and UID: the version that the last apply has left. The server writes some values in its own way. */
  readonly #applied = new Map<string, string>();

  constructor(kube: KubeApi) {
    this.#kube = kube;
  }

  /** Answers whether it had to be written. */
  async keep({ type, object }: Child): Promise<boolean> {
    const current = await this.#kube.get(type, nameOf(object));
    if (current !== null && clusterOf(current) !== clusterOf(object)) {
      const { kind, metadata } = object;
      throw new Error(
        `${kind} ${metadata.name} is there already and belongs to somebody else; rename or delete it, or name the cluster otherwise`,
      );
    }
    if (current !== null && this.#isKept(type, current, object)) return false;
    const applied = await this.#kube.apply(type, object);
    this.#applied.set(keyOf(type, applied), applied.metadata.resourceVersion ?? '');
    return true;
  }

  /** Deletes what is not asked for any more; what is not the cluster's is left alone. */
  async remove(type: ResourceType, name: ObjectName, cluster: string): Promise<void> {
    const current = await this.#kube.get(type, name);
    if (current === null || clusterOf(current) !== cluster) return;
    const { uid } = current.metadata;
    await this.#kube.delete(type, name, uid === undefined ? {} : { uid });
  }

  #isKept(type: ResourceType, current: KubeObject, object: KubeObject): boolean {
    const intent = object.metadata.annotations?.[annotations.applied];
    if (current.metadata.annotations?.[annotations.applied] !== intent) return false;
    const known = this.#applied.get(keyOf(type, current));
    return known === current.metadata.resourceVersion || isWithin(object, current);
  }
}

/** Name of the cluster that an object says it is of. */
const clusterOf = ({ metadata }: KubeObject): string | undefined =>
  metadata.labels?.[labels.cluster];

const keyOf = ({ kind }: ResourceType, { metadata }: KubeObject): string =>
  `${kind} ${metadata.uid ?? ''}`;

const nameOf = ({ metadata: { name, namespace } }: KubeObject): ObjectName => ({
  name,
  ...(namespace !== undefined && { namespace }),
});

/** Whether all that is said in `part` is so in `whole`, which may say more. */
export function isWithin(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part)) {
    return (
      Array.isArray(whole) &&
      part.length === whole.length &&
      part.every((item, at) => isWithin(item, whole[at]))
    );
  }
  if (typeof part !== 'object' || part === null) return part === whole;
  if (typeof whole !== 'object' || whole === null) return Object.keys(part).length === 0;
  return Object.entries(part).every(([key, value]) =>
    isWithin(value, (whole as Record<string, unknown>)[key]),
  );
}
