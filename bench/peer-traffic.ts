/** What nodes of a cluster say to each other, by their own account. */
import type { Server } from './servers.ts';

/** Batches of messages that a node has sent to all others since it was started; each is a frame of a stream. */
export async function peerTraffic({ adminPort }: Server): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${String(adminPort)}/metrics`);
  const text = await answer.text();
  const lines = [...text.matchAll(/^sierradb_peer_requests_total(?:\{[^}]*\})? (\S+)$/gm)];
  if (lines.length === 0) throw new Error('the node does not count its batches to others');
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}
