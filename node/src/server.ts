/**
 * One running node: the parts in their order of start, and the reverse for the stop.
 *
 * Invariants
 * - Clients are only let in when recovery is done, so that nobody ever sees a half-recovered store.
 * - The admin port is open from the first moment to the last: a node that recovers for long is alive, not ready.
 * - The state changes here and nowhere else, and only forwards (`http/node-state.ts`).
 */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Address, ClusterConfig, NodeConfig } from './config.ts';
import { formatAddress } from './config.ts';
import type { ClusterStatistics } from './cluster/cluster-statistics.ts';
import type { StoreEnvironment, StoreOptions } from './engine/options.ts';
import type { EventStore } from './engine/types.ts';
import { openAdmin, type Admin } from './http/admin.ts';
import { NodeMetrics } from './http/metrics.ts';
import type { PeerCounts, StreamCounts } from './http/peer-metrics.ts';
import type { NodeState } from './http/node-state.ts';
import type { RespObserver } from './resp/observer.ts';
import { StartError } from './start-error.ts';
import { OpenError } from './storage/errors.ts';
import type { SubscriptionStatistics } from './subscriptions/types.ts';

export interface ClosableStore extends EventStore {
  close(): Promise<void>;
}

export interface ClientListener extends Address {
  /** What its subscriptions do now. */
  subscriptions(): SubscriptionStatistics;
  /** Takes no new connections, finishes what was accepted, then resolves. */
  close(): Promise<void>;
}

/** What a node of a cluster has besides; store and listener are opened as its parts. */
export interface ClusterPart extends Pick<NodeParts, 'openStore' | 'openListener'> {
  /** Where other members connect. */
  readonly address: Address;
  /** Rejects with the system's error when the address cannot be listened on. */
  listen(): Promise<void>;
  /** Resolves when the node belongs to a cluster: at once, unless its disk is fresh. */
  formed(): Promise<void>;
  /** Whether every bucket that is held here has a leader. */
  isReady(): boolean;
  /** What was sent to other members, by member id. */
  peerCounts(): ReadonlyMap<string, PeerCounts>;
  streamCounts(): StreamCounts;
  /** What its replica groups do now. */
  statistics(): ClusterStatistics;
  /** Hands over what it leads; the store may be closed then. */
  leave(): Promise<void>;
  close(): Promise<void>;
}

export interface ClusterContext {
  readonly version: string;
  readonly log: Logger;
  readonly state: () => NodeState;
  /** The node must not serve any more; the program must end the process. */
  readonly onFatal: (error: Error) => void;
}

/** The parts that a node is composed of; tests put others in. */
export interface NodeParts {
  /** Rejects for a directory that is not a member's. */
  openCluster(
    config: NodeConfig,
    cluster: ClusterConfig & { readonly secret: string | null },
    context: ClusterContext,
  ): Promise<ClusterPart>;
  openStore(
    directory: string,
    options: Partial<StoreOptions>,
    environment: Pick<StoreEnvironment, 'observer' | 'onFatal'>,
  ): Promise<ClosableStore>;
  openListener(
    store: EventStore,
    config: NodeConfig,
    context: { readonly version: string; readonly observer: RespObserver },
  ): Promise<ClientListener>;
}

export interface NodeContext {
  readonly version: string;
  readonly log: Logger;
  readonly parts: NodeParts;
  /** The store stopped after a failed write or sync; the program must end the process. */
  readonly onFatal: (error: Error) => void;
}

export interface RunningNode extends AsyncDisposable {
  readonly state: NodeState;
  readonly clientAddress: Address;
  /** Null when the default address was taken. */
  readonly adminAddress: Address | null;
  /** Stops in the reverse order of the start. May be called again; resolves when all is closed. */
  close(): Promise<void>;
}

/** Resolves when clients are served. Rejects with {@link StartError} when the world does not let it start. */
export async function startNode(config: NodeConfig, context: NodeContext): Promise<RunningNode> {
  const node = new SierraNode(config, context);
  try {
    await node.start();
  } catch (error) {
    await node.close();
    throw error;
  }
  return node;
}

class SierraNode implements RunningNode {
  readonly #config: NodeConfig;
  readonly #context: NodeContext;
  readonly #metrics: NodeMetrics;
  #state: NodeState = 'starting';
  #admin: Admin | null = null;
  #cluster: ClusterPart | null = null;
  #store: ClosableStore | null = null;
  #listener: ClientListener | null = null;
  #closing: Promise<void> | null = null;

  constructor(config: NodeConfig, context: NodeContext) {
    this.#config = config;
    this.#context = context;
    this.#metrics = new NodeMetrics(context.version);
  }

  get state(): NodeState {
    return this.#state;
  }

  get clientAddress(): Address {
    return this.#listener ?? this.#config.clientAddress;
  }

  get adminAddress(): Address | null {
    return this.#admin;
  }

  async start(): Promise<void> {
    const startedMs = performance.now();
    const { log } = this.#context;
    await this.#openAdmin();
    await this.#joinCluster();
    this.#state = 'recovering';
    const store = await this.#openStore();
    this.#metrics.watch(store);
    await this.#openListener(store);
    this.#state = 'serving';
    const { facts } = store;
    log.info(
      {
        client: formatAddress(this.clientAddress),
        admin: this.#admin === null ? null : formatAddress(this.#admin),
        ...(this.#cluster && { cluster: formatAddress(this.#cluster.address) }),
        directory: this.#config.directory,
        buckets: facts.bucketCount,
        partitions: facts.partitionCount,
        member: facts.memberId,
        segments: store.statistics().segmentsSealed,
        quarantined: store.statistics().quarantined,
        startMs: Math.round(performance.now() - startedMs),
      },
      'listening',
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const failed = this.#state === 'failed';
    if (!failed) this.#state = 'stopping';
    await this.#listener?.close();
    this.#metrics.subscriptions.watch(null);
    this.#metrics.watch(null);
    if (!failed) await this.#cluster?.leave();
    await this.#store?.close();
    await this.#cluster?.close();
    await this.#admin?.close();
    if (!failed) this.#state = 'stopped';
  }

  async #openAdmin(): Promise<void> {
    const { adminAddress, adminAddressIsConfigured } = this.#config;
    const view = {
      state: (): NodeState => this.#state,
      isReady: (): boolean => this.#cluster?.isReady() ?? true,
      registry: this.#metrics.registry,
    };
    try {
      this.#admin = await openAdmin(adminAddress, view);
    } catch (error) {
      const fault = StartError.ofAddress(error, adminAddress, 'network.admin_address');
      // By default several nodes on one machine want the same port; only the first one's metrics are then to be had.
      if (adminAddressIsConfigured) throw fault;
      this.#context.log.warn(`${fault.message}; no health and metrics pages`);
    }
  }

  /** A node with peers; on a fresh disk it waits for them. */
  async #joinCluster(): Promise<void> {
    const { cluster: config, directory } = this.#config;
    if (config === null) return;
    const { log, parts, version } = this.#context;
    const state = (): NodeState => this.#state;
    const onFatal = (error: Error): void => this.#fail(StartError.ofDirectory(error, directory));
    const context = { version, log, state, onFatal };
    const secret = await readSecret(config.secretFile);
    try {
      const cluster = await parts.openCluster(this.#config, { ...config, secret }, context);
      this.#cluster = cluster;
      this.#metrics.peers.watch(
        () => cluster.peerCounts(),
        () => cluster.streamCounts(),
      );
      this.#metrics.cluster.watch(() => cluster.statistics());
    } catch (error) {
      throw StartError.ofDirectory(error, directory);
    }
    this.#state = 'forming';
    try {
      await this.#cluster.listen();
    } catch (error) {
      throw StartError.ofAddress(error, config.address, 'network.cluster_address');
    }
    try {
      await this.#cluster.formed();
    } catch (error) {
      throw error instanceof OpenError ? StartError.ofDirectory(error, directory) : error;
    }
  }

  #fail(error: Error): void {
    this.#state = 'failed';
    this.#context.onFatal(error);
  }

  async #openStore(): Promise<ClosableStore> {
    const { directory, store: options } = this.#config;
    const { log } = this.#context;
    const parts = this.#cluster ?? this.#context.parts;
    const metrics = this.#metrics;
    try {
      this.#store = await parts.openStore(directory, options, {
        observer: {
          roundSynced: metrics.roundSynced.bind(metrics),
          segmentSealed: (bucket, segment, bytes) => {
            metrics.segmentSealed();
            log.debug({ bucket, segment, bytes }, 'segment sealed');
          },
          recovery: (action, detail) => {
            metrics.recovery(action);
            log.info({ action, ...detail }, 'recovery');
          },
        },
        onFatal: (error) => this.#fail(error),
      });
    } catch (error) {
      throw StartError.ofDirectory(error, directory);
    }
    return this.#store;
  }

  async #openListener(store: ClosableStore): Promise<void> {
    const { clientAddress } = this.#config;
    const { commands, subscriptions } = this.#metrics;
    const { log, version } = this.#context;
    const parts = this.#cluster ?? this.#context.parts;
    const observer: RespObserver = {
      connectionOpened: () => commands.connectionOpened(),
      connectionClosed: () => commands.connectionClosed(),
      connectionRefused: () => commands.connectionRefused(),
      commandAnswered: (command, code, durationMs) =>
        commands.commandAnswered(command, code, durationMs),
      fault: (error) =>
        log.error({ err: error }, 'a connection was closed after a mistake of ours'),
    };
    try {
      const listener = await parts.openListener(store, this.#config, { version, observer });
      subscriptions.watch(() => listener.subscriptions());
      this.#listener = listener;
    } catch (error) {
      throw StartError.ofAddress(error, clientAddress, 'network.client_address');
    }
  }
}

async function readSecret(file: string | null): Promise<string | null> {
  if (file === null) return null;
  let secret: string;
  try {
    secret = (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${code ?? message}`;
    throw new StartError(`network.cluster_secret_file ${file} ${reason}`, { cause: error });
  }
  if (secret === '') throw new StartError(`network.cluster_secret_file ${file} is empty`);
  return secret;
}
