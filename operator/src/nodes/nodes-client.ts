/**
 * HTTP to the nodes. One attempt each: the loop that asks looks again anyway, and what it wants by then may be another thing.
 *
 * Invariants
 * - Every request ends within its limit, also one to an address that swallows packets.
 * - What is no answer of a node is an error, never half a status.
 */
import { Agent, request } from 'undici';

import type { Assignment } from '../../../common/assignment.ts';
import {
  type AssignmentUpdate,
  clusterPaths,
  type DrainStatus,
  type NodeStatus,
} from '../../../common/cluster-contract.ts';
import { NodeError, type NodesApi } from './types.ts';

/** A status of 256 buckets is some 200 KB. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;

export interface NodesClientOptions {
  /** For what a node answers from memory; default 2000. */
  readonly readMs?: number;
  /** For what it makes durable, or waits for up to two seconds itself; default 5000. */
  readonly writeMs?: number;
}

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

interface Asked {
  readonly address: string;
  readonly secret: string;
  readonly method: Method;
  readonly path: string;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export class NodesClient implements NodesApi, AsyncDisposable {
  readonly #agent: Agent;
  readonly #readMs: number;
  readonly #writeMs: number;

  constructor({ readMs = 2000, writeMs = 5000 }: NodesClientOptions = {}) {
    this.#readMs = readMs;
    this.#writeMs = writeMs;
    this.#agent = new Agent({ connect: { timeout: readMs }, connections: 2 });
  }

  async status(address: string, secret: string): Promise<NodeStatus> {
    const path = clusterPaths.status;
    const answer = await this.#ask({ address, secret, method: 'GET', path }, this.#readMs);
    return parsed(answer, isStatus);
  }

  async assignment(address: string, secret: string): Promise<Assignment | null> {
    const path = clusterPaths.assignment;
    try {
      const answer = await this.#ask({ address, secret, method: 'GET', path }, this.#readMs);
      return parsed(answer, isAssignment);
    } catch (error) {
      if (error instanceof NodeError && error.status === 404) return null;
      throw error;
    }
  }

  async putAssignment(address: string, secret: string, body: AssignmentUpdate): Promise<void> {
    const path = clusterPaths.assignment;
    await this.#ask({ address, secret, method: 'PUT', path, body }, this.#writeMs);
  }

  async drain(address: string, secret: string): Promise<DrainStatus> {
    const path = clusterPaths.drain;
    const answer = await this.#ask({ address, secret, method: 'POST', path }, this.#writeMs);
    return parsed(answer, isDrain);
  }

  async endDrain(address: string, secret: string): Promise<void> {
    const path = clusterPaths.drain;
    await this.#ask({ address, secret, method: 'DELETE', path }, this.#readMs);
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Rejects with {@link NodeError} for everything but a 2xx. */
  async #ask(asked: Asked, limitMs: number): Promise<Answer> {
    let answer: Answer;
    try {
      answer = await this.#send(asked, AbortSignal.timeout(limitMs));
    } catch (error) {
      if (error instanceof NodeError) throw error;
      throw new NodeError(`${asked.address} does not answer: ${reasonOf(error, limitMs)}`, 0);
    }
    const { status, text } = answer;
    if (status >= 200 && status < 300) return answer;
    throw new NodeError(refusalIn(text) ?? `${asked.address} answers ${status}`, status);
  }

  async #send(
    { address, secret, method, path, body }: Asked,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { statusCode, body: stream } = await request(`http://${address}${path}`, {
      ...{ method, signal, dispatcher: this.#agent },
      headers: {
        authorization: `Bearer ${secret}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > ANSWER_BYTES_MAX) {
        throw new NodeError(`${address} answers more than a node does`, statusCode);
      }
      pieces.push(piece);
    }
    return { status: statusCode, text: Buffer.concat(pieces).toString() };
  }
}

/** Errors of connections may have nothing but a code. */
function reasonOf(error: unknown, limitMs: number): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `not within ${limitMs} ms`;
  const { message, code = '' } = error as NodeJS.ErrnoException;
  return message === '' ? code : message;
}

function refusalIn(text: string): string | null {
  const reason = fieldsOf(text)?.['reason'];
  return typeof reason === 'string' ? reason : null;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(text: string): Fields | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Fields) : null;
  } catch {
    return null;
  }
}

/** Whether it is one as far as the operator reads it. */
type Check<T> = (fields: Fields) => fields is Fields & T;

function parsed<T>({ status, text }: Answer, is: Check<T>): T {
  const fields = fieldsOf(text);
  if (fields === null || !is(fields)) throw new NodeError('this is no answer of a node', status);
  return fields;
}

const isListOf = (value: unknown, is: (fields: Fields) => boolean): value is readonly Fields[] =>
  Array.isArray(value) &&
  value.every((item) => typeof item === 'object' && item !== null && is(item as Fields));

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

function isStatus(fields: Fields): fields is Fields & NodeStatus {
  const { member, index, cluster, state, assignment, buckets } = fields;
  return (
    isText(member) &&
    Number.isSafeInteger(index) &&
    (cluster === null || isText(cluster)) &&
    isText(state) &&
    typeof assignment === 'object' &&
    isListOf(buckets, isReplica)
  );
}

const isReplica = ({ bucket, role, term, voters, learners, lag, health }: Fields): boolean =>
  [bucket, term].every((number) => Number.isSafeInteger(number)) &&
  [role, health].every(isText) &&
  [voters, learners].every((list) => Array.isArray(list)) &&
  typeof lag === 'object' &&
  lag !== null;

function isAssignment(fields: Fields): fields is Fields & Assignment {
  const { clusterId, epoch, version, bucketCount, members, buckets, removed } = fields;
  return (
    isText(clusterId) &&
    [epoch, version, bucketCount].every((number) => Number.isSafeInteger(number)) &&
    isListOf(members, isMember) &&
    members.length > 0 &&
    isListOf(buckets, isBucket) &&
    buckets.length === bucketCount &&
    Array.isArray(removed)
  );
}

const isMember = ({ id, index, address }: Fields): boolean =>
  isText(id) && Number.isSafeInteger(index) && isText(address);

const isBucket = ({ replicas, preferred }: Fields): boolean =>
  isText(preferred) &&
  isListOf(replicas, ({ member, since }) => isText(member) && Number.isSafeInteger(since));

function isDrain(fields: Fields): fields is Fields & DrainStatus {
  const { member, leading, blocked, isSafeToStop } = fields;
  return (
    isText(member) &&
    Array.isArray(leading) &&
    Array.isArray(blocked) &&
    typeof isSafeToStop === 'boolean'
  );
}
