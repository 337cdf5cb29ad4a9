/** Who may ask a member for something: members by who they say they are, everybody by the shared secret where there is one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { clusterHeaders } from '../../../common/cluster-contract.ts';
import {
  ClusterRefusal,
  type MemberService,
  RolledBackRefusal,
  type Sender,
  UnknownMemberRefusal,
} from '../cluster/types.ts';

/** Answered with this status and the message as the reason. */
export class HttpRefusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

export function statusOf(error: Error): number {
  if (error instanceof RolledBackRefusal) return RolledBackRefusal.status;
  if (error instanceof ClusterRefusal) return 409;
  if (error instanceof HttpRefusal) return error.status;
  const { statusCode } = error as { readonly statusCode?: unknown };
  if (typeof statusCode === 'number') return statusCode;
  // What is no message of ours is the sender's fault.
  return error instanceof RangeError ? 400 : 500;
}

export class Admission {
  readonly #service: Pick<MemberService, 'admit'>;
  readonly #secret: Buffer | null;

  constructor(service: Pick<MemberService, 'admit'>, secret: string | null) {
    this.#service = service;
    this.#secret = secret === null ? null : digest(`Bearer ${secret}`);
  }

  /**
   * The member that asks, or null for an operator. `isForOperators`: a member that is not known here is taken for one, so that it can
   * bring what it is known by. Throws a {@link HttpRefusal} or a {@link ClusterRefusal}.
   */
  admit(headers: IncomingHttpHeaders, isForOperators: boolean = false): Sender | null {
    const { authorization = '' } = headers;
    if (this.#secret !== null && !timingSafeEqual(digest(authorization), this.#secret)) {
      throw new HttpRefusal(401, 'the secret of the cluster is not this one');
    }
    const sender = senderOf(headers);
    if (sender === null) return null;
    try {
      this.#service.admit(sender);
    } catch (error) {
      if (isForOperators && error instanceof UnknownMemberRefusal) return null;
      throw error;
    }
    return sender;
  }

  /** The same for what only members of a cluster may ask for. */
  admitMember(headers: IncomingHttpHeaders): Sender {
    return requireMember(this.admit(headers));
  }

  /** Of one whose secret is known: what it said before may not hold any more. */
  admitAgain(sender: Sender): void {
    this.#service.admit(sender);
  }
}

/** Of equal length, whatever was sent. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

export function requireMember(sender: Sender | null): Sender {
  if (sender === null) throw new HttpRefusal(400, 'only members may ask for this');
  if (sender.cluster === null) throw new HttpRefusal(409, 'this is for members of a cluster');
  return sender;
}

/** Null where the request is no member's. */
export function senderOf(headers: IncomingHttpHeaders): Sender | null {
  const member = headers[clusterHeaders.member];
  if (member === undefined) return null;
  const cluster = headers[clusterHeaders.cluster] ?? null;
  const boot = Number(headers[clusterHeaders.boot]);
  const starts = headers[clusterHeaders.starts];
  const counts = /^(\d{1,5})\/(\d{1,5})$/.exec(String(headers[clusterHeaders.counts]));
  if (typeof member !== 'string' || Array.isArray(cluster) || counts === null) {
    throw new HttpRefusal(400, 'a member says who it is');
  }
  if (!Number.isSafeInteger(boot)) throw new HttpRefusal(400, 'a member counts its starts');
  const [, bucketCount, partitionCount] = counts;
  return {
    ...{ member, cluster, boot },
    ...{ bucketCount: Number(bucketCount), partitionCount: Number(partitionCount) },
    ...(typeof starts === 'string' && { starts: starts.split(' ') }),
    ...(headers[clusterHeaders.draining] === '1' && { isDraining: true }),
  };
}
