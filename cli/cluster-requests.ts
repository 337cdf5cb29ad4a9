/** Requests to members of a cluster, as an operator. */
import { ConnectionError, ProtocolError, ServerError } from '../client/index.ts';
import type { Member } from '../common/assignment.ts';
import { clusterPaths, type NodeStatus } from '../common/cluster-contract.ts';

/** A member, and what it says of itself or why it says nothing. */
export interface MemberStatus extends Member {
  readonly status: NodeStatus | null;
  readonly error: string | null;
}

export interface AskOptions {
  readonly secret: string | null;
  readonly timeoutMs: number;
}

/** Rejects with an error of the client that says what became of it. */
export async function askMember(
  address: string,
  { secret, timeoutMs }: AskOptions,
): Promise<NodeStatus> {
  const headers: Record<string, string> =
    secret === null ? {} : { authorization: `Bearer ${secret}` };
  const signal = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`http://${address}${clusterPaths.status}`, { headers, signal });
    text = await answer.text();
  } catch (error) {
    throw new ConnectionError('UNREACHABLE', `${address}: ${reasonOf(error as Error)}`);
  }
  const value = parsed(text);
  if (!answer.ok) {
    const reason = typeof value?.['reason'] === 'string' ? value['reason'] : text.slice(0, 200);
    throw new ServerError('ERR', `${address} refuses: ${reason}`);
  }
  if (typeof value?.['member'] === 'string') return value as unknown as NodeStatus;
  throw new ProtocolError(`what answers at ${address} is no cluster address of SierraDB`);
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return 'no answer in time';
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>> | null;
  } catch {
    return null;
  }
}
