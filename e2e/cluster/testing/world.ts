/**
 * A `SierraCluster` in a namespace of its own, where pods are held to the restricted standard, with clients that append through
 * its Service. All is removed at the end.
 *
 * ```ts
 * await using world = await World.prepare(kubernetes, { nodes: 3 });
 * await world.apply();
 * await world.untilReady();
 * await using load = await world.startLoad(random);
 * await world.settle(load);
 * ```
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { load as parseYaml } from 'js-yaml';

import { clusterPaths, type NodeStatus } from '../../../common/cluster-contract.ts';
import type { Random } from '../../../common/random.ts';
import type { SierraCluster, SierraClusterSpec } from '../../../operator/src/api/sierra-cluster.ts';
import { SECRET_FOLDER } from '../../../operator/src/resources/config-map.ts';
import {
  childNames,
  CLIENT_PORT,
  CLUSTER_PORT,
  SECRET_KEY,
  selectorOf,
} from '../../../operator/src/resources/names.ts';
import { WireClient } from '../../testing/wire-client.ts';
import { checkHistory } from '../../process/testing/check-history.ts';
import type { History } from '../../process/testing/history.ts';
import { Load, type LoadOptions, type Servers } from '../../process/testing/load.ts';
import { everyEvent, finalEvent } from '../../process/testing/settle.ts';
import { operatorImage } from './operator.ts';
import { type Kubernetes, READY_MS, until } from './kubernetes.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const sample = join(root, 'manifests', 'samples', 'three-nodes.yaml');

const SETTLE_MS = 120_000;
const ASK_MS = 15_000;
/** Longer than a node lets a command wait. */
const CALL_MS = 15_000;
/** Of each client: a hundred calls a second in all, which leaves the machine to what is tested. */
const IDLE_MS = 40;
const CLIENTS = 4;

/** Runs in a storage pod, which knows the secret. */
const askScript = `
import { readFileSync } from 'node:fs';
const { method, path, body } = JSON.parse(readFileSync(0, 'utf8'));
const secret = readFileSync('${SECRET_FOLDER}/${SECRET_KEY}', 'utf8');
const headers = { authorization: 'Bearer ' + secret };
if (body !== null) headers['content-type'] = 'application/json';
const content = body === null ? undefined : JSON.stringify(body);
const url = 'http://127.0.0.1:${CLUSTER_PORT}' + path;
const answer = await fetch(url, { method, headers, body: content });
process.stdout.write(JSON.stringify({ status: answer.status, body: await answer.text() }));
`;

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { image: string }[] };
  readonly status: {
    readonly podIP?: string;
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export const isReady = ({ metadata, status }: Pod): boolean =>
  metadata.deletionTimestamp === undefined &&
  status.conditions?.some((each) => each.type === 'Ready' && each.status === 'True') === true;

export class World implements AsyncDisposable, Servers {
  readonly kubernetes: Kubernetes;
  readonly namespace: string;
  readonly name: string;
  #object: SierraCluster;
  #clusterIp = '';

  /** The sample of three nodes, changed by `spec`; not applied yet. */
  static async prepare(kubernetes: Kubernetes, spec: SierraClusterSpec = {}): Promise<World> {
    const namespace = `test-${randomBytes(4).toString('hex')}`;
    const enforce = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await kubernetes.apply([
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: enforce } },
    ]);
    const object = parseYaml(await readFile(sample, 'utf8')) as SierraCluster;
    const image = { image: operatorImage, imagePullPolicy: 'IfNotPresent' } as const;
    const whole = { ...object, spec: { ...object.spec, ...image, ...spec } };
    return new World(kubernetes, namespace, whole);
  }

  private constructor(kubernetes: Kubernetes, namespace: string, object: SierraCluster) {
    this.kubernetes = kubernetes;
    this.namespace = namespace;
    this.name = object.metadata.name;
    this.#object = object;
  }

  kubectl(...args: string[]): Promise<string> {
    return this.kubernetes.kubectl(['-n', this.namespace, ...args]);
  }

  apply(): Promise<void> {
    return this.kubernetes.apply([this.#object], this.namespace);
  }

  /** The specification, or parts of it, from now on. */
  async change(spec: SierraClusterSpec): Promise<void> {
    this.#object = { ...this.#object, spec: { ...this.#object.spec, ...spec } };
    await this.apply();
  }

  async scale(nodes: number): Promise<void> {
    await this.kubectl('scale', `sdb/${this.name}`, `--replicas=${nodes}`);
    this.#object = { ...this.#object, spec: { ...this.#object.spec, nodes } };
  }

  resource(): Promise<SierraCluster> {
    return this.kubernetes.json(['-n', this.namespace, 'get', 'sdb', this.name]);
  }

  /** Of the specification as it is now: nothing is left to be done. */
  async untilReady(timeoutMs: number = READY_MS): Promise<void> {
    const condition = ['--for=condition=Ready', `sdb/${this.name}`];
    await this.kubernetes.wait(['-n', this.namespace, ...condition], timeoutMs);
  }

  /** Ready, and its nodes are so many. */
  async untilNodes(count: number, timeoutMs: number = READY_MS): Promise<void> {
    await until(`${count} nodes, all ready`, timeoutMs, async () => {
      const { metadata, status } = await this.resource();
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      const isCurrent = status?.observedGeneration === metadata.generation;
      const pods = await this.pods();
      const areThere = pods.length === count && pods.every(isReady);
      return isCurrent && areThere && ready?.status === 'True' && status?.members?.length === count;
    });
  }

  async pods(): Promise<Pod[]> {
    const selector = ['-l', selectorOf(this)];
    const { items } = await this.kubernetes.json<{ readonly items: readonly Pod[] }>([
      ...['-n', this.namespace, 'get', 'pods', ...selector],
    ]);
    return items.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  }

  async pod(name: string): Promise<Pod | null> {
    return this.kubernetes.find<Pod>(['-n', this.namespace, 'pod', name]);
  }

  /** Another pod of this name than the one that had `uid`, and it is ready. */
  async untilReplaced(name: string, uid: string, timeoutMs: number = READY_MS): Promise<Pod> {
    return until(`a new ready ${name}`, timeoutMs, async () => {
      const pod = await this.pod(name);
      return pod !== null && pod.metadata.uid !== uid && isReady(pod) ? pod : null;
    });
  }

  /** What a pod's node says of itself. */
  async nodeStatus(pod: Pod): Promise<NodeStatus> {
    const { status, body } = await this.ask(pod, 'GET', clusterPaths.status);
    assert.equal(status, 200, `${pod.metadata.name}: ${body}`);
    return JSON.parse(body) as NodeStatus;
  }

  /** Asks a pod's node on its cluster port, which only members and the operator can reach: so from inside of the pod. */
  async ask(
    { metadata: { name } }: Pod,
    method: string,
    path: string,
    body: object | null = null,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const input = JSON.stringify({ method, path, body });
    const command = ['exec', '-i', name, '--', 'node', '--input-type=module', '-e', askScript];
    const text = await this.kubernetes.kubectl(['-n', this.namespace, ...command], {
      ...{ input, timeoutMs: ASK_MS },
    });
    return JSON.parse(text) as { status: number; body: string };
  }

  /** The pod that leads most buckets. */
  async leader(): Promise<Pod> {
    return until('a pod that leads', SETTLE_MS, async () => {
      const pods = (await this.pods()).filter(isReady);
      const counts = await Promise.all(
        pods.map(async (pod) => {
          const { buckets } = await this.nodeStatus(pod);
          return { pod, led: buckets.filter(({ role }) => role === 'leader').length };
        }),
      );
      const [most] = counts.toSorted((a, b) => b.led - a.led);
      return most !== undefined && most.led > 0 && most.pod;
    });
  }

  /** Clients connect to the Service, whichever pods are behind it. */
  readonly indices: readonly number[] = [0];

  node(): { host: string; port: number } {
    return { host: this.#clusterIp, port: CLIENT_PORT };
  }

  /** Resolves when the client Service has an address. */
  async findService(): Promise<void> {
    this.#clusterIp = await until('the client Service', READY_MS, async () => {
      const service = ['-n', this.namespace, 'service', childNames.clientService(this.name)];
      const found = await this.kubernetes.find<{ spec: { clusterIP?: string } }>(service);
      return found?.spec.clusterIP ?? null;
    });
  }

  /** Appends once, through the Service; resolves when it is acknowledged. */
  async firstAppend(timeoutMs: number): Promise<void> {
    await this.findService();
    await until('a first append through the Service', timeoutMs, async () => {
      const { host, port } = this.node();
      using client = await WireClient.connect(port, host, AbortSignal.timeout(1000));
      await client.call('EAPPEND', 'first', 'Happened');
      return true;
    });
  }

  async startLoad(random: Random, options: LoadOptions = {}): Promise<Load> {
    await this.findService();
    return new Load(this, random, {
      ...{ clients: CLIENTS, idleMs: IDLE_MS, callMs: CALL_MS },
      ...options,
    });
  }

  /**
   * Ends the clients. Throws where something that they were told, or `earlier` ones were, is not so, or copies differ.
   */
  async settle(load: Load, earlier: History = { appends: [], reads: [] }): Promise<void> {
    const { appends, reads } = await load.stop();
    const history = {
      appends: [...earlier.appends, ...appends],
      reads: [...earlier.reads, ...reads],
    };
    const final = await until('all copies are the same', SETTLE_MS, async () => {
      const pods = (await this.pods()).filter(isReady);
      const all = await Promise.all(
        pods.map(({ status: { podIP = '' } }) => everyEvent({ host: podIP, port: CLIENT_PORT })),
      );
      const [first = [], ...others] = all.map((events) => events.map(finalEvent));
      for (const other of others) assert.deepEqual(other, first, 'copies hold the same events');
      return first;
    });
    checkHistory(history, final, (stream) => stream === 'first');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (process.env['KEEP'] === '1') return;
    await this.kubernetes.kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
  }
}
