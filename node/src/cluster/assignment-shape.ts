/** Whether a value from a file or from another member is an assignment. */
import type { Assignment } from '../../../common/assignment.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown, min: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= min;
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isList = (value: unknown, fits: (item: unknown) => boolean): value is unknown[] =>
  Array.isArray(value) && value.every(fits);

/** The same value, or null: something is missing, or names a member that is none. */
export function assignmentOf(value: unknown): Assignment | null {
  if (!isFields(value)) return null;
  const { clusterId, epoch, version, featureLevel, bucketCount, partitionCount } = value;
  const hasFacts =
    isText(clusterId) &&
    [epoch, version, featureLevel, bucketCount, partitionCount].every((n) => isCount(n, 1));
  if (!hasFacts || !isList(value['members'], isMember) || !isList(value['removed'], isText)) {
    return null;
  }
  const assignment = value as unknown as Assignment;
  const ids = new Set(assignment.members.map(({ id }) => id));
  const isWhole =
    ids.size === assignment.members.length &&
    isList(value['buckets'], (bucket) => isBucket(bucket, ids)) &&
    assignment.buckets.length === assignment.bucketCount;
  return isWhole ? assignment : null;
}

function isMember(value: unknown): boolean {
  if (!isFields(value)) return false;
  return isText(value['id']) && isCount(value['index'], 0) && isText(value['address']);
}

function isBucket(value: unknown, ids: ReadonlySet<string>): boolean {
  if (!isFields(value) || !isText(value['preferred']) || !ids.has(value['preferred'])) return false;
  const { replicas, origin } = value;
  if (origin !== undefined && !isText(origin)) return false;
  return isList(replicas, (replica) => isReplica(replica, ids)) && replicas.length > 0;
}

function isReplica(value: unknown, ids: ReadonlySet<string>): boolean {
  if (!isFields(value)) return false;
  return isText(value['member']) && ids.has(value['member']) && isCount(value['since'], 1);
}
