/** Health and metrics of the operator. */
import fastify, { type FastifyInstance } from 'fastify';

import type { OperatorMetrics } from './metrics.ts';

export interface OperatorHealth {
  /** Null: the process is well. */
  readonly wedged: () => string | null;
  /** Null: it takes part, as the leader or as one who waits. */
  readonly unready: () => string | null;
}

export async function openOperatorServer(
  address: { readonly host: string; readonly port: number },
  health: OperatorHealth,
  metrics: OperatorMetrics,
): Promise<FastifyInstance> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  const probe = (fault: () => string | null) => (): { status: string } => {
    const reason = fault();
    if (reason === null) return { status: 'ok' };
    throw Object.assign(new Error(reason), { statusCode: 503 });
  };
  server.get('/livez', probe(health.wedged));
  server.get('/readyz', probe(health.unready));
  server.get('/metrics', async (_request, reply) => {
    void reply.type(metrics.registry.contentType);
    return metrics.registry.metrics();
  });
  await server.listen(address);
  return server;
}
