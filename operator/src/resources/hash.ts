/** Short names of what was rendered: the same for the same values, in whatever order they were put together. */
import { createHash } from 'node:crypto';

import { canonicalJson } from '../../../common/canonical-json.ts';
import type { KubeObject } from '../kube/types.ts';
import { annotations } from './names.ts';

/** 16 hexadecimal digits. */
export const hashOf = (value: unknown): string =>
  createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16);

/** Of an object without the annotation that tells it. */
export function appliedHash(object: KubeObject): string {
  const { [annotations.applied]: _told, ...others } = object.metadata.annotations ?? {};
  return hashOf({ ...object, metadata: { ...object.metadata, annotations: others } });
}

/** The object with the annotation. */
export const withAppliedHash = <T extends KubeObject>(object: T): T => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: { ...object.metadata.annotations, [annotations.applied]: appliedHash(object) },
  },
});
