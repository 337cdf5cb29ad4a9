/** Looks at the other nodes until `forming.ts` says that they are a cluster. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

import type { Member } from '../../../common/assignment.ts';
import type { NodeStatus } from '../../../common/cluster-contract.ts';
import { PeerError, type PeerRequests } from '../replication/peer-requests.ts';
import type { ClusterLog } from './cluster-node.ts';
import { formingStep, type FormingStep, type Sight } from './forming.ts';
import { statusOf } from './member-requests.ts';

const INTERVAL_MS = 200;

export interface FormingOptions {
  readonly index: number;
  /** By index. None: it only waits for the assignment that somebody else makes. */
  readonly addresses: readonly string[];
  readonly log: ClusterLog;
}

export class Forming {
  readonly #options: FormingOptions;
  readonly #peers: PeerRequests;
  readonly #ownStatus: () => NodeStatus;
  #told = '';

  constructor(options: FormingOptions, peers: PeerRequests, ownStatus: () => NodeStatus) {
    this.#options = options;
    this.#peers = peers;
    this.#ownStatus = ownStatus;
  }

  /** Resolves with the members of the new cluster, on node 0 alone. Rejects when the signal ends it. */
  async run(signal: AbortSignal): Promise<readonly Member[]> {
    if (this.#options.addresses.length === 0) await this.#end(signal);
    for (;;) {
      const step = await this.#look(signal);
      signal.throwIfAborted();
      if (step.kind === 'form') return step.members;
      this.#tell(step);
      await delay(INTERVAL_MS, undefined, { signal });
    }
  }

  /** Never resolves. */
  async #end(signal: AbortSignal): Promise<void> {
    const { index, log } = this.#options;
    const { member } = this.#ownStatus();
    log.info({ index, member }, 'this disk is fresh: the operator is to send an assignment');
    if (!signal.aborted) await once(signal, 'abort');
    signal.throwIfAborted();
  }

  async #look(signal: AbortSignal): Promise<FormingStep> {
    const { index, addresses } = this.#options;
    const sights = await Promise.all(
      addresses.map(async (address, place) =>
        place === index
          ? { address, status: this.#ownStatus() }
          : lookAt(this.#peers, address, signal),
      ),
    );
    return formingStep(index, sights);
  }

  /** Once for every reason. */
  #tell({ reason, isFault }: Extract<FormingStep, { kind: 'wait' }>): void {
    if (reason === this.#told) return;
    this.#told = reason;
    const { log } = this.#options;
    if (isFault) log.error({ reason }, 'no cluster can form');
    else log.info({ reason }, 'forming');
  }
}

async function lookAt(peers: PeerRequests, address: string, signal: AbortSignal): Promise<Sight> {
  try {
    return { address, status: await statusOf(peers, address, signal) };
  } catch (error) {
    const isRefusal = error instanceof PeerError && error.status !== null;
    return { address, status: null, refusal: isRefusal ? error.message : undefined };
  }
}
