/** Requests to members of a cluster, as an operator. */
import { ConnectionError, ProtocolError, ServerError } from '../client/index.ts';
import type { Assignment, Member } from '../common/assignment.ts';
import {
  type AssignmentUpdate,
  clusterPaths,
  type DrainStatus,
  type NodeStatus,
} from '../common/cluster-contract.ts';

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
export async function askMember(address: string, options: AskOptions): Promise<NodeStatus> {
  const value = await ask('GET', address, clusterPaths.status, options);
  if (typeof value?.['member'] === 'string') return value as unknown as NodeStatus;
  throw new ProtocolError(`what answers at ${address} is no cluster address of SierraDB`);
}

/** As {@link askMember}. */
export async function askToDrain(address: string, options: AskOptions): Promise<DrainStatus> {
  const value = await ask('POST', address, clusterPaths.drain, options);
  if (typeof value?.['isSafeToStop'] === 'boolean') return value as unknown as DrainStatus;
  throw new ProtocolError(`what answers at ${address} is no cluster address of SierraDB`);
}

/** As {@link askMember}. */
export async function endDrain(address: string, options: AskOptions): Promise<void> {
  await ask('DELETE', address, clusterPaths.drain, options);
}

/** As {@link askMember}: what is in force. */
export async function askAssignment(address: string, options: AskOptions): Promise<Assignment> {
  const value = await ask('GET', address, clusterPaths.assignment, options);
  if (typeof value?.['clusterId'] === 'string') return value as unknown as Assignment;
  throw new ProtocolError(`what answers at ${address} is no cluster address of SierraDB`);
}

/** As {@link askMember}: the member takes it, and passes it on. */
export async function putAssignment(
  address: string,
  update: AssignmentUpdate,
  options: AskOptions,
): Promise<void> {
  await ask('PUT', address, clusterPaths.assignment, options, update);
}

async function ask(
  method: string,
  address: string,
  path: string,
  { secret, timeoutMs }: AskOptions,
  body?: unknown,
): Promise<Readonly<Record<string, unknown>> | null> {
  const headers: Record<string, string> =
    secret === null ? {} : { authorization: `Bearer ${secret}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const signal = AbortSignal.timeout(timeoutMs);
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`http://${address}${path}`, {
      ...{ method, headers, signal },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    text = await answer.text();
  } catch (error) {
    throw new ConnectionError('UNREACHABLE', `${address}: ${reasonOf(error as Error)}`);
  }
  const value = parsed(text);
  if (answer.ok) return value;
  const reason = typeof value?.['reason'] === 'string' ? value['reason'] : text.slice(0, 200);
  throw new ServerError('ERR', `${address} refuses: ${reason}`);
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
