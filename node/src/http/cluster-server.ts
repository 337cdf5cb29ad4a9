/**
 * The door for other members, the operator and `sierradb cluster`: `common/cluster-contract.ts` over HTTP, and
 * streams between members.
 *
 * ```ts
 * await using door = await openClusterServer({ host: '127.0.0.1', port: 4400 }, service);
 * ```
 *
 * Members are admitted by who they say they are before anything else is looked at; a shared secret, where there is one, is
 * asked of everybody. Without one this belongs on loopback.
 */
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import {
  type AssignmentUpdate,
  clusterHeaders,
  clusterPaths,
  STREAM_PROTOCOL,
} from '../../../common/cluster-contract.ts';
import type { MemberService } from '../cluster/types.ts';
import { STREAM_FRAME_BYTES_MAX } from '../replication/stream-format.ts';
import { Admission, HttpRefusal, statusOf } from './admission.ts';
import { RangeBuffers } from './range-buffers.ts';
import { StreamServer, type StreamStatistics, upgradeReason } from './stream-server.ts';

export interface ClusterServerOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /** Shared by all members and whoever operates them. */
  readonly secret?: string | null;
  /** The largest body, and the largest frame of a stream: 1 MiB of messages and one message more. */
  readonly bodyBytesMax?: number;
  /** A request failed for no reason that a member could give. */
  readonly onError?: (error: Error) => void;
}

export interface ClusterServer extends AsyncDisposable {
  readonly host: string;
  /** The real one when 0 was asked for. */
  readonly port: number;
  readonly streams: StreamStatistics;
  close(): Promise<void>;
}

const RANGE_BYTES_MAX = 16 * 1024 * 1024;
/** What members ask for at once. */
const PIECE_BYTES = 4 * 1024 * 1024;
const OCTETS = 'application/octet-stream';

/** Rejects with the system's error when the address cannot be listened on. */
export async function openClusterServer(
  options: ClusterServerOptions,
  service: MemberService,
): Promise<ClusterServer> {
  const { host, port, bodyBytesMax: bodyLimit = STREAM_FRAME_BYTES_MAX } = options;
  const app = Fastify({ logger: false, forceCloseConnections: true, bodyLimit });
  const admission = new Admission(service, options.secret ?? null);
  const streams = new StreamServer(app.server, {
    ...{ admission, service, frameBytesMax: bodyLimit },
    onError: (error) => options.onError?.(error),
  });
  app.addHook('onRequest', admit(admission));
  app.setErrorHandler((error, _request, reply) => answerError(error as Error, reply, options));
  addMemberRoutes(app, service);
  addOperatorRoutes(app, service);
  await app.listen({ host, port });
  const bound = app.server.address();
  const close = async (): Promise<void> => {
    streams.close();
    await app.close();
  };
  return {
    host,
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    get streams(): StreamStatistics {
      return streams.statistics;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function answerError(error: Error, reply: FastifyReply, options: ClusterServerOptions): void {
  const status = statusOf(error);
  if (status >= 500) options.onError?.(error);
  reply.code(status).send({ reason: error.message });
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

/** Before a body is read. */
function admit(admission: Admission): Hook {
  return ({ headers, url }, _reply, done) => {
    try {
      if (isForOperators(url)) admission.admit(headers, true);
      else admission.admitMember(headers);
      done();
    } catch (error) {
      done(error as Error);
    }
  };
}

const isForOperators = (url: string): boolean =>
  [clusterPaths.status, clusterPaths.assignment, clusterPaths.drain].some((path) => path === url);

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
  const buffers = new RangeBuffers(PIECE_BYTES);
  app.get(clusterPaths.stream, (_request, reply) => {
    reply.header('upgrade', STREAM_PROTOCOL);
    throw new HttpRefusal(426, upgradeReason);
  });
  app.get('/v1/buckets/:bucket/segments', ({ params }, reply) => {
    reply.send(service.segments(numberOf(params, 'bucket')));
  });
  app.get('/v1/buckets/:bucket/segments/:segment', async ({ params, headers }, reply) => {
    const { from, to } = rangeOf(headers.range);
    const [bucket, segment] = [numberOf(params, 'bucket'), numberOf(params, 'segment')];
    const buffer = buffers.take(to - from);
    const bytes = await service.readSegment(bucket, segment, from, to, buffer);
    // One that was broken off may still be on its way out.
    reply.raw.once('finish', () => {
      buffers.giveBack(buffer);
    });
    reply.code(206).type(OCTETS).header(clusterHeaders.busy, Number(service.isBusy()));
    return bytes;
  });
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
