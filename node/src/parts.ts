/** The real parts of a node; `server.ts` puts them together. Loaded late, behind the sizing of the I/O pool. */
import { assert } from '../../common/assert.ts';
import { systemRandom } from '../../common/random.ts';
import { refuseMember } from './cluster/claim-directory.ts';
import { ClusterNode } from './cluster/cluster-node.ts';
import { CommandRunner } from './cluster/command-runner.ts';
import { Router } from './cluster/router.ts';
import { openStore, type Store } from './engine/index.ts';
import { type ClusterServer, openClusterServer } from './http/cluster-server.ts';
import { setHeapGrowth } from './heap-growth.ts';
import { RespListener } from './resp/listener.ts';
import { respLimits } from './resp/limits.ts';
import type { ClusterPart, NodeParts } from './server.ts';
import { RealFileSystem } from './storage/real-file-system.ts';
import { Subscriptions } from './subscriptions/subscriptions.ts';

type ListenerArguments = Parameters<NodeParts['openListener']>;

export const nodeParts: NodeParts = {
  openStore: async (directory, options, environment) => {
    await refuseMember(new RealFileSystem(), directory);
    return openStore(directory, options, environment);
  },
  openListener: (store, config, context) => openListener(new Router(store), config, context),
  openCluster: async (config, cluster, { version, log, state, onFatal }) => {
    const { index, factor, copyPercent, secret, peers } = cluster;
    const { bucketCount, partitionCount } = config.store;
    const node = await ClusterNode.open({
      ...{ directory: config.directory, index, factor, copyPercent, secret, version, log },
      peers: peers.map(({ host, port }) => hostAndPort(host, port)),
      counts: {
        ...(bucketCount !== undefined && { bucketCount }),
        ...(partitionCount !== undefined && { partitionCount }),
      },
      files: new RealFileSystem(),
      random: systemRandom,
      state: () => memberStates[state()],
      onCopying: (isCopying) => {
        setHeapGrowth(isCopying ? 'wide' : 'narrow');
      },
      onRolledBack: onFatal,
    });
    const { requestTimeoutMs } = cluster;
    return new Membership(node, {
      ...cluster.address,
      ...{ secret, requestTimeoutMs, onError: faults(log) },
    });
  },
};

const hostAndPort = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** What other members are told of the states of a node. */
const memberStates = {
  starting: 'recovering',
  forming: 'forming',
  recovering: 'recovering',
  serving: 'serving',
  stopping: 'stopping',
  stopped: 'stopping',
  failed: 'failed',
} as const;

const faults =
  (log: { error(facts: object, sentence: string): void }) =>
  (error: Error): void =>
    log.error({ err: error }, 'a request of another member failed');

type MembershipOptions = Parameters<typeof openClusterServer>[0] & {
  readonly requestTimeoutMs: number;
};

class Membership implements ClusterPart {
  readonly #node: ClusterNode;
  readonly #options: MembershipOptions;
  #server: ClusterServer | null = null;
  #store: Store | null = null;

  constructor(node: ClusterNode, options: MembershipOptions) {
    this.#node = node;
    this.#options = options;
  }

  get address(): { readonly host: string; readonly port: number } {
    return this.#server ?? this.#options;
  }

  async listen(): Promise<void> {
    this.#server = await openClusterServer(this.#options, this.#node);
  }

  formed(): Promise<void> {
    return this.#node.formed();
  }

  openStore: NodeParts['openStore'] = async (directory, options, environment) => {
    const store = await this.#node.openStore((replication) =>
      openStore(directory, { ...options, ...this.#node.counts }, { ...environment, replication }),
    );
    const runner = new CommandRunner(store);
    this.#node.onCommands = (bucket, body) => runner.run(bucket, body);
    this.#store = store;
    return store;
  };

  openListener: NodeParts['openListener'] = (_store, config, context) => {
    assert(this.#store !== null, 'the store is opened before the listener');
    const { requestTimeoutMs } = this.#options;
    return openListener(new Router(this.#store, this.#node, { requestTimeoutMs }), config, context);
  };

  isReady(): boolean {
    return this.#node.isReady();
  }

  peerCounts(): ReturnType<ClusterPart['peerCounts']> {
    return this.#node.peers.statistics();
  }

  streamCounts(): ReturnType<ClusterPart['streamCounts']> {
    return this.#server?.streams ?? { open: 0, refused: 0 };
  }

  statistics(): ReturnType<ClusterPart['statistics']> {
    return this.#node.statistics();
  }

  leave(): Promise<void> {
    return this.#node.leave();
  }

  async close(): Promise<void> {
    await this.#server?.close();
    await this.#node.close();
  }
}

async function openListener(
  router: Router,
  config: ListenerArguments[1],
  { version, observer }: ListenerArguments[2],
): ReturnType<NodeParts['openListener']> {
  const subscriptions = new Subscriptions(router, {
    targetsMax: config.subscriptionTargetsMax,
    onFault: (error) => observer.fault(error),
  });
  const listener = await RespListener.start({
    router,
    subscriptions,
    version,
    ...config.clientAddress,
    limits: respLimits(router.facts.appendMaxBytes, {
      pageBytesMax: config.pageBytesMax,
      connectionsMax: config.connectionsMax,
    }),
    protocolDefault: config.protocolDefault,
    observer,
  });
  return {
    host: config.clientAddress.host,
    port: listener.address.port,
    subscriptions: () => subscriptions.statistics,
    close: () => listener.stop(),
  };
}
