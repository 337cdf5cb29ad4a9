/** How a member of a simulation reaches another one: what `peer.ts` and `cluster-server.ts` do over HTTP. */
import { clusterPaths } from '../../common/cluster-contract.ts';
import type { Random } from '../../common/random.ts';
import type { ClusterNode } from '../../node/src/cluster/cluster-node.ts';
import {
  ClusterRefusal,
  RolledBackRefusal,
  UnknownMemberRefusal,
} from '../../node/src/cluster/types.ts';
import type { PeerConnection } from '../../node/src/replication/peer-network.ts';
import {
  type ByteRange,
  type CommandRequest,
  PeerError,
  type PeerOutcome,
  type Sender,
} from '../../node/src/replication/peer-requests.ts';
import type { SimulatedMember } from './member.ts';
import type { SimulatedNetwork } from './network.ts';
import type { Life, VirtualTime } from './virtual-time.ts';

/** A connection on which nothing comes any more is given up. */
const ANSWER_MS = 1000;

export interface PeerContext {
  readonly time: VirtualTime;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  /** Who is at an address. */
  readonly at: (address: string) => SimulatedMember | undefined;
  readonly traceMessage: (from: number, to: number, bytes: Buffer, kind: string) => void;
}

type Content = { readonly body?: Buffer; readonly range?: ByteRange | null };

const NOTHING_COUNTED = {
  ...{ requests: 0, messages: 0, bytes: 0, failures: 0, dropped: 0, lastFailure: null },
};

/** From the process that runs in `from` now to whoever is at `address`. */
export class SimulatedPeer implements PeerConnection {
  readonly address: string;
  readonly #context: PeerContext;
  readonly #from: SimulatedMember;
  readonly #life: Life | null;
  readonly #sender: () => Sender;

  constructor(context: PeerContext, from: SimulatedMember, address: string, sender: () => Sender) {
    this.#context = context;
    this.#from = from;
    this.#life = from.life;
    this.address = address;
    this.#sender = sender;
  }

  get statistics(): PeerConnection['statistics'] {
    return { control: NOTHING_COUNTED, data: NOTHING_COUNTED };
  }

  send(kind: string, message: Buffer): void {
    const { network, at, traceMessage } = this.#context;
    const to = at(this.address);
    if (to === undefined || this.#life?.isDead === true) return;
    const sender = this.#sender();
    traceMessage(this.#from.number, to.number, message, kind);
    network.send(this.#from.number, to.number, () => {
      to.receive(sender, message);
    });
  }

  run({ bucket, body }: CommandRequest, signal: AbortSignal): Promise<Buffer> {
    return this.#ask('commands', (node) => node.runCommands(bucket, body), signal);
  }

  async request(
    method: 'GET' | 'PUT',
    path: string,
    content: Content,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { random } = this.#context;
    const bytes = await this.#ask(
      path,
      (node) => answer(node, { method, path, ...content }),
      signal,
    );
    // As where a connection breaks in the middle.
    const isShort = content.range && random.below(10) === 0;
    return isShort ? bytes.subarray(0, random.below(bytes.length + 1)) : bytes;
  }

  #ask(
    path: string,
    work: (node: ClusterNode) => Promise<Buffer>,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const { time, network, at } = this.#context;
    const sender = this.#sender();
    const admitted = async (node: ClusterNode): Promise<Buffer> => {
      admit(node, sender, path);
      return work(node);
    };
    return new Promise((resolve, reject) => {
      const fail = (reason: string, outcome: PeerOutcome): void => {
        reject(new PeerError(reason, outcome));
      };
      signal.throwIfAborted();
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
      time.after(ANSWER_MS, this.#life, () => {
        fail('no answer in time', 'unknown');
      });
      const to = at(this.address);
      if (to === undefined) return;
      const reply = (settle: () => void): void => {
        network.request(to.number, this.#from.number, () => {
          time.after(0, this.#life, settle);
        });
      };
      network.request(this.#from.number, to.number, () => {
        const isThere = to.serve(
          admitted,
          (bytes) => {
            reply(() => {
              resolve(bytes);
            });
          },
          (error) => {
            reply(() => {
              reject(refusal(error));
            });
          },
        );
        if (!isThere)
          reply(() => {
            fail('ECONNREFUSED', 'not done');
          });
      });
    });
  }

  close(): void {
    // What is on its way may still arrive.
  }
}

const refusal = (error: unknown): PeerError =>
  error instanceof ClusterRefusal
    ? new PeerError(
        error.message,
        'not done',
        error instanceof RolledBackRefusal ? RolledBackRefusal.status : 409,
      )
    : new PeerError(error instanceof Error ? error.message : String(error), 'unknown', 500);

interface Request extends Content {
  readonly method: 'GET' | 'PUT';
  readonly path: string;
}

/** Says who may ask what, as the server's admission does. Null: an operator. */
export function admit(node: ClusterNode, sender: Sender | null, path: string): void {
  const isForOperators = path === clusterPaths.status || path === clusterPaths.assignment;
  try {
    if (sender !== null) node.admit(sender);
  } catch (error) {
    if (!isForOperators || !(error instanceof UnknownMemberRefusal)) throw error;
  }
  if (!isForOperators && (sender === null || sender.cluster === null)) {
    throw new ClusterRefusal('this is for members of a cluster');
  }
}

async function answer(node: ClusterNode, request: Request): Promise<Buffer> {
  const { method, path, body = Buffer.alloc(0), range } = request;
  if (path === clusterPaths.status) return Buffer.from(JSON.stringify(node.status()));
  if (path === clusterPaths.assignment && method === 'PUT') {
    await node.putAssignment(
      JSON.parse(body.toString()) as Parameters<typeof node.putAssignment>[0],
    );
    return Buffer.alloc(0);
  }
  const [, bucket, segment] = /^\/v1\/buckets\/(\d+)\/segments(?:\/(\d+))?$/.exec(path) ?? [];
  if (bucket === undefined) throw new Error(`no such path: ${path}`);
  if (segment === undefined) return Buffer.from(JSON.stringify(node.segments(Number(bucket))));
  if (!range) throw new Error('a range is expected');
  return node.readSegment(Number(bucket), Number(segment), range.from, range.to);
}
