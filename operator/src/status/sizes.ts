/** Numbers of the status: pods, images, volumes, buckets. Pure; nothing here changes with every append. */
import type { SierraClusterStatus } from '../api/sierra-cluster.ts';
import type { StatusLook } from './look.ts';

type Part<K extends keyof SierraClusterStatus> = NonNullable<SierraClusterStatus[K]>;

export function nodesOf({ observed }: StatusLook): Part<'nodes'> {
  const { pods, revision, spec } = observed;
  const ready = pods.filter((pod) => pod.isReady && !pod.isTerminating).length;
  const updated = pods.filter((pod) => pod.revision === revision && !pod.isTerminating).length;
  const summary = `${ready}/${spec.nodes}`;
  return { desired: spec.nodes, ready, updated, summary };
}

export function imageOf({ observed: { pods, spec } }: StatusLook): Part<'image'> {
  const images = new Set(pods.map(({ image }) => image));
  const [image = null] = images;
  return { current: images.size === 1 ? image : null, target: spec.image };
}

export function bucketsOf({ buckets, observed: { spec } }: StatusLook): Part<'buckets'> {
  return {
    total: buckets.length === 0 ? spec.bucketCount : buckets.length,
    leaderless: buckets.filter(({ led }) => led === 'no').length,
    underReplicated: buckets.filter(({ missing }) => missing.length > 0).length,
    moving: buckets.filter(({ isMoving }) => isMoving).length,
  };
}

/** Null: there is no volume yet. */
export function storageOf({ view, observed }: StatusLook): Part<'storage'> | null {
  const sizes = observed.claims
    .filter(({ place }) => view.isWanted(place.index) || view.hasMemberAt(place.index))
    .map(({ actualBytes }) => actualBytes);
  if (sizes.length === 0) return null;
  return { requested: observed.spec.storageSize, actual: quantityOf(Math.min(...sizes)) };
}

const units = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi'];

/** In the largest binary unit that is exact. */
export function quantityOf(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value > 0 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value}${units[unit] ?? ''}`;
}
