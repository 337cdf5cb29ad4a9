/** Memory of a node that was started with an inspector, after a garbage collection: what is really held. */
import { residentBytes } from './machine.ts';
import type { Server } from './servers.ts';

export interface CollectedMemory {
  /** JavaScript objects and buffers, in bytes. */
  readonly heldBytes: number;
  /** Resident memory of the process in bytes. */
  readonly residentBytes: number;
}

interface InspectorReply {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

/** Sends the requests one after the other; answers the last one's value. */
async function inspect(
  url: string,
  requests: readonly { readonly method: string; readonly params?: object }[],
): Promise<unknown> {
  const socket = new WebSocket(url);
  const done = Promise.withResolvers<unknown>();
  let next = 0;
  const send = (): void => {
    socket.send(JSON.stringify({ id: next, ...requests[next] }));
    next += 1;
  };
  socket.addEventListener('open', send);
  socket.addEventListener('error', () => {
    done.reject(new Error('the inspector does not answer'));
  });
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as InspectorReply;
    if (reply.id === undefined) return;
    if (next < requests.length) send();
    else done.resolve(reply.result?.result?.value);
  });
  try {
    return await done.promise;
  } finally {
    socket.close();
  }
}

export async function collectedMemory(server: Server): Promise<CollectedMemory> {
  const pages = await fetch(`http://127.0.0.1:${String(server.inspectorPort)}/json/list`);
  const [page] = (await pages.json()) as { webSocketDebuggerUrl: string }[];
  if (page === undefined) throw new Error('the node was not started with an inspector');
  const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
  const held = await inspect(page.webSocketDebuggerUrl, [
    // What the first one frees may free more in the second.
    { method: 'HeapProfiler.collectGarbage' },
    { method: 'HeapProfiler.collectGarbage' },
    { method: 'Runtime.evaluate', params: { expression, returnByValue: true } },
  ]);
  return { heldBytes: Number(held), residentBytes: residentBytes(server.pid) ?? 0 };
}
