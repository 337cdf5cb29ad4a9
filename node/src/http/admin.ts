/**
 * The pages for people and their tools, on an address of their own: health and metrics, nothing that changes data.
 *
 * ```ts
 * await using admin = await openAdmin({ host: '127.0.0.1', port: 9290 }, { state: () => 'serving', metrics });
 * ```
 *
 * `GET /livez` answers 200 while the process should be left running. `GET /readyz` answers 200 while clients should be sent
 * here, else 503. `GET /metrics` is Prometheus' text format.
 */
import Fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { NodeState } from './node-state.ts';

export interface AdminView {
  readonly state: () => NodeState;
  /** Whether a node that serves can do what clients ask; absent: always. */
  readonly isReady?: () => boolean;
  readonly registry: Registry;
}

export interface Admin extends AsyncDisposable {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with the system's error when the address cannot be listened on. */
export async function openAdmin(
  address: { readonly host: string; readonly port: number },
  view: AdminView,
): Promise<Admin> {
  const app = Fastify({ logger: false, forceCloseConnections: true });
  addRoutes(app, view);
  await app.listen({ ...address });
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : address.port;
  const close = async (): Promise<void> => {
    await app.close();
  };
  return { host: address.host, port, close, [Symbol.asyncDispose]: close };
}

function addRoutes(app: FastifyInstance, { state, isReady, registry }: AdminView): void {
  app.get('/livez', (_request, reply) => {
    reply.code(state() === 'failed' ? 503 : 200).send({ state: state() });
  });
  app.get('/readyz', (_request, reply) => {
    const isServing = state() === 'serving' && (isReady?.() ?? true);
    reply.code(isServing ? 200 : 503).send({ state: state() });
  });
  app.get('/metrics', async (_request, reply) => {
    reply.type(registry.contentType);
    return registry.metrics();
  });
}
