/**
 * The door for other members, the operator and `sierradb cluster`: `common/cluster-contract.ts` over HTTP.
 *
 * ```ts
 * await using door = await openClusterServer({ host: '127.0.0.1', port: 4400 }, service);
 * ```
 *
 * Members are admitted by who they say they are before anything else is looked at; a shared secret, where there is one, is
 * asked of everybody. Without one this belongs on loopback.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import {
  type AssignmentUpdate,
  clusterHeaders,
  clusterPaths,
} from '../../../common/cluster-contract.ts';
import { ClusterRefusal, type MemberService, type Sender } from '../cluster/types.ts';

export interface ClusterServerOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /** Shared by all members and whoever operates them. */
  readonly secret?: string | null;
  /** The largest body: 1 MiB of messages and one message more. */
  readonly bodyBytesMax?: number;
  /** A request failed for no reason that a member could give. */
  readonly onError?: (error: Error) => void;
}

export interface ClusterServer extends AsyncDisposable {
  readonly host: string;
  /** The real one when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
}

const BODY_BYTES_MAX = 64 * 1024 * 1024;
const RANGE_BYTES_MAX = 16 * 1024 * 1024;
const OCTETS = 'application/octet-stream';

/** Rejects with the system's error when the address cannot be listened on. */
export async function openClusterServer(
  options: ClusterServerOptions,
  service: MemberService,
): Promise<ClusterServer> {
  const { host, port, bodyBytesMax: bodyLimit = BODY_BYTES_MAX } = options;
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit });
  app.addContentTypeParser(OCTETS, { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body);
  });
  app.addHook('onRequest', admission(service, options.secret ?? null));
  app.setErrorHandler((error, _request, reply) => answerError(error as Error, reply, options));
  addMemberRoutes(app, service);
  addOperatorRoutes(app, service);
  await app.listen({ host, port });
  const bound = app.server.address();
  const close = async (): Promise<void> => {
    await app.close();
  };
  return {
    host,
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Answered with this status and the message as the reason. */
class HttpRefusal extends Error {
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

function answerError(error: Error, reply: FastifyReply, options: ClusterServerOptions): void {
  const status = statusOf(error);
  if (status >= 500) options.onError?.(error);
  reply.code(status).send({ reason: error.message });
}

function statusOf(error: Error): number {
  if (error instanceof ClusterRefusal) return 409;
  if (error instanceof HttpRefusal) return error.status;
  const { statusCode } = error as { readonly statusCode?: unknown };
  if (typeof statusCode === 'number') return statusCode;
  // What is no message of ours is the sender's fault.
  return error instanceof RangeError ? 400 : 500;
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

/** Before a body is read. */
function admission(service: MemberService, secret: string | null): Hook {
  const expected = secret === null ? null : digest(`Bearer ${secret}`);
  return ({ headers, url }, _reply, done) => {
    try {
      if (expected !== null && !timingSafeEqual(digest(headers.authorization ?? ''), expected)) {
        throw new HttpRefusal(401, 'the secret of the cluster is not this one');
      }
      const sender = senderOf(headers);
      if (sender !== null) service.admit(sender);
      if (!isForOperators(url)) {
        if (sender === null) throw new HttpRefusal(400, 'only members may ask for this');
        if (sender.cluster === null) throw new HttpRefusal(409, 'this is for members of a cluster');
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}

/** Of equal length, whatever was sent. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const isForOperators = (url: string): boolean =>
  [clusterPaths.status, clusterPaths.assignment, clusterPaths.drain].some((path) => path === url);

/** Null where the request is no member's. */
function senderOf(headers: FastifyRequest['headers']): Sender | null {
  const member = headers[clusterHeaders.member];
  if (member === undefined) return null;
  const cluster = headers[clusterHeaders.cluster] ?? null;
  const boot = Number(headers[clusterHeaders.boot]);
  const counts = /^(\d{1,5})\/(\d{1,5})$/.exec(String(headers[clusterHeaders.counts]));
  if (typeof member !== 'string' || Array.isArray(cluster) || counts === null) {
    throw new HttpRefusal(400, 'a member says who it is');
  }
  if (!Number.isSafeInteger(boot)) throw new HttpRefusal(400, 'a member counts its starts');
  const [, bucketCount, partitionCount] = counts;
  return {
    ...{ member, cluster, boot },
    ...{ bucketCount: Number(bucketCount), partitionCount: Number(partitionCount) },
    ...(headers[clusterHeaders.draining] === '1' && { isDraining: true }),
  };
}

function addOperatorRoutes(app: FastifyInstance, service: MemberService): void {
  app.get(clusterPaths.status, (_request, reply) => {
    reply.send(service.status());
  });
  app.get(clusterPaths.assignment, (_request, reply) => {
    const assignment = service.currentAssignment();
    if (assignment === null) throw new HttpRefusal(404, 'this node is in no cluster yet');
    reply.send(assignment);
  });
  app.put(clusterPaths.assignment, async ({ body }, reply) => {
    await service.putAssignment(body as AssignmentUpdate);
    reply.code(204);
  });
  app.post(clusterPaths.drain, () => service.drain());
  app.delete(clusterPaths.drain, (_request, reply) => {
    service.endDrain();
    reply.code(204).send();
  });
}

function addMemberRoutes(app: FastifyInstance, service: MemberService): void {
  app.post(clusterPaths.raft, ({ body }, reply) => {
    service.receive(bytesOf(body));
    reply.code(204).send();
  });
  app.post('/v1/buckets/:bucket/commands', async ({ params, body }, reply) => {
    const answer = await service.runCommands(numberOf(params, 'bucket'), bytesOf(body));
    reply.type(OCTETS);
    return answer;
  });
  app.get('/v1/buckets/:bucket/segments', ({ params }, reply) => {
    reply.send(service.segments(numberOf(params, 'bucket')));
  });
  app.get('/v1/buckets/:bucket/segments/:segment', async ({ params, headers }, reply) => {
    const { from, to } = rangeOf(headers.range);
    const [bucket, segment] = [numberOf(params, 'bucket'), numberOf(params, 'segment')];
    const bytes = await service.readSegment(bucket, segment, from, to);
    reply.code(206).type(OCTETS);
    return bytes;
  });
}

function bytesOf(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body;
  throw new HttpRefusal(400, `a body of ${OCTETS} is expected`);
}

function numberOf(params: unknown, name: string): number {
  const text = (params as Record<string, string>)[name] ?? '';
  if (!/^\d{1,10}$/.test(text)) throw new HttpRefusal(400, `${name} is a number`);
  return Number(text);
}

/** A range with both ends; of a long one its beginning is served. */
function rangeOf(header: string | undefined): { readonly from: number; readonly to: number } {
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header ?? '');
  if (match === null) throw new HttpRefusal(416, 'a range of bytes with both ends is expected');
  const [from, last] = [Number(match[1]), Number(match[2])];
  if (last < from) throw new HttpRefusal(416, 'a range goes up');
  return { from, to: Math.min(last + 1, from + RANGE_BYTES_MAX) };
}
