/** What members ask of each other in JSON. */
import type { Member } from '../../../common/assignment.ts';
import {
  type AssignmentUpdate,
  clusterPaths,
  type NodeStatus,
} from '../../../common/cluster-contract.ts';
import { PeerError, type PeerRequests } from '../replication/peer-requests.ts';

const TIMEOUT_MS = 2000;

const within = (signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);

/** Of those members that answer. `nameOf`: as in {@link statusOf}. */
export async function statusesOf(
  peers: PeerRequests,
  members: readonly Member[],
  signal: AbortSignal,
  nameOf: (member: Member) => string = ({ id }) => id,
): Promise<NodeStatus[]> {
  const answers = await Promise.allSettled(
    members.map((member) => statusOf(peers, nameOf(member), signal)),
  );
  return answers.flatMap((answer, i) => {
    // Another disk may answer at a member's address.
    if (answer.status === 'rejected' || answer.value.member !== members[i]?.id) return [];
    return [answer.value];
  });
}

/** `member` is a member id, or an address of one that is not known yet. Rejects with a {@link PeerError}. */
export async function statusOf(
  peers: PeerRequests,
  member: string,
  signal: AbortSignal,
): Promise<NodeStatus> {
  const body = await peers.get(member, clusterPaths.status, null, within(signal));
  const status = parsed(body) as Partial<NodeStatus> | null;
  if (typeof status?.member === 'string') return status as NodeStatus;
  throw new PeerError('what answers there is no SierraDB', 'not done');
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

/** Rejects with the other member's reason. */
export async function sendAssignment(
  peers: PeerRequests,
  member: string,
  update: AssignmentUpdate,
  signal: AbortSignal,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(update));
  await peers.put(member, clusterPaths.assignment, body, within(signal));
}
