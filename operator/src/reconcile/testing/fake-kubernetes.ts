/**
 * A cluster of fake nodes under a fake API server, with what Kubernetes does in between: StatefulSets make claims and pods, pods run
 * nodes on the disks of their claims. Every turn does all that is to be done; nothing happens by itself.
 */
import assert from 'node:assert/strict';

import {
  persistentVolumeClaims,
  pods,
  type KubeObject,
  KubeClient,
  sierraClusters,
  statefulSets,
} from '../../kube/index.ts';
import { FakeApiServer } from '../../kube/testing/fake-api-server.ts';
import type { SierraCluster, SierraClusterSpec } from '../../api/sierra-cluster.ts';
import { placeAt } from '../../resources/names.ts';
import type { ReconcileContext } from '../context.ts';
import type { ClaimObject, PodObject, StatefulSetObject } from '../objects.ts';
import { Reconciler } from '../reconciler.ts';
import { type FakeDisk, FakeNodes } from './fake-nodes.ts';

const own = { namespace: 'shop', name: 'orders' };
const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

type TemplatedSet = StatefulSetObject & {
  readonly spec: {
    readonly replicas: number;
    readonly ordinals?: { readonly start?: number };
    readonly template: { readonly metadata: KubeObject['metadata']; readonly spec: object };
    readonly volumeClaimTemplates: readonly ClaimObject[];
  };
};

export class FakeKubernetes implements AsyncDisposable {
  readonly server: FakeApiServer;
  readonly nodes: FakeNodes;
  readonly client: KubeClient;
  /** By UID of the claim. */
  readonly #disks = new Map<string, FakeDisk>();
  /** By pod's UID: the address where its node runs. */
  readonly #running = new Map<string, string>();
  /** Pods of these images do not become ready. */
  readonly badImages: Set<string> = new Set();
  /** Events, `reason: message`. */
  readonly told: string[] = [];
  readonly #restarting = new Set<string>();
  #reconciler: Reconciler;
  #now: number = Date.parse('2030-01-01T00:00:00Z');
  #ids = 0;

  private constructor(server: FakeApiServer, nodes: FakeNodes) {
    this.server = server;
    this.nodes = nodes;
    this.client = new KubeClient(server.connection);
    this.#reconciler = new Reconciler(this.#context());
    nodes.onSent = (assignment) => {
      const record = this.cluster.status?.assignment;
      assert.deepEqual(assignment, record, 'no node hears of what is not recorded');
    };
  }

  static async open(spec: SierraClusterSpec): Promise<FakeKubernetes> {
    const server = await FakeApiServer.open();
    server.register(sierraClusters, { hasStatus: true, hasGeneration: true });
    const nodes = new FakeNodes({ bucketCount: 4, partitionCount: 16 });
    const kubernetes = new FakeKubernetes(server, nodes);
    kubernetes.change(spec);
    return kubernetes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.server.close();
  }

  get cluster(): SierraCluster {
    const found = this.server.get<SierraCluster>(sierraClusters, own);
    if (found === null) throw new Error('there is no cluster');
    return found;
  }

  get podNames(): string[] {
    return this.server
      .objects<PodObject>(pods)
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  get claimNames(): string[] {
    return this.server
      .objects<ClaimObject>(persistentVolumeClaims)
      .map(({ metadata }) => metadata.name)
      .sort();
  }

  /** As `kubectl apply` would. */
  change(spec: SierraClusterSpec): void {
    const buckets = { count: 4, partitions: 16 };
    const known = this.server.get<SierraCluster>(sierraClusters, own);
    this.server.put<SierraCluster>(sierraClusters, {
      ...{ apiVersion: 'sierradb.io/v1alpha1', kind: 'SierraCluster' },
      metadata: known?.metadata ?? { ...own, uid: 'uid-of-orders' },
      ...(known?.status !== undefined && { status: known.status }),
      spec: { buckets, ...spec },
    });
  }

  /** Its node does not answer for a turn, and it is not ready. */
  restartContainer(name: string): void {
    const { metadata } = this.server.get<PodObject>(pods, { ...own, name }) ?? {};
    const address = this.#running.get(metadata?.uid ?? '');
    if (address !== undefined) this.nodes.pause(address);
    this.#restarting.add(name);
    this.play();
  }

  /** The operator's process is another one from now on. */
  restartOperator(): void {
    this.#reconciler = new Reconciler(this.#context());
  }

  /** One look of the operator, then what Kubernetes makes of it. Answers whether the look has failed. */
  async turn(): Promise<unknown> {
    this.#now += 1000;
    let failure: unknown = null;
    try {
      await this.#reconciler.reconcile(own);
    } catch (error) {
      failure = error;
    }
    this.play();
    return failure;
  }

  /** Turns until the operator has nothing to write any more; throws when that takes too many. */
  async settle(turnsMax = 120): Promise<void> {
    for (let turn = 0; turn < turnsMax; turn += 1) {
      const before = this.server.revision;
      const failure = await this.turn();
      const { conditions = [] } = this.cluster.status ?? {};
      const ready = conditions.find(({ type }) => type === 'Ready')?.status === 'True';
      if (failure === null && ready && this.server.revision === before) return;
    }
    throw new Error(`not settled: ${JSON.stringify(this.cluster.status, null, 1)}`);
  }

  /** What StatefulSets, kubelets and volumes do until nothing is left to do. */
  play(): void {
    for (const set of this.server.objects<TemplatedSet>(statefulSets)) this.#playSet(set);
    this.#growClaims();
    const there = new Set<string>();
    for (const pod of this.server.objects<PodObject>(pods)) {
      there.add(pod.metadata.uid ?? '');
      this.#playPod(pod);
    }
    for (const [uid, address] of this.#running) {
      if (there.has(uid)) continue;
      this.#running.delete(uid);
      if (![...this.#running.values()].includes(address)) this.nodes.stop(address);
    }
  }

  /** What the provisioner of volumes does. */
  #growClaims(): void {
    for (const claim of this.server.objects<ClaimObject>(persistentVolumeClaims)) {
      const asked = claim.spec?.resources?.requests?.storage;
      if (asked === undefined || claim.status?.capacity?.storage === asked) continue;
      this.server.put(persistentVolumeClaims, {
        ...claim,
        status: { capacity: { storage: asked } },
      });
    }
  }

  #playSet({ metadata, spec }: TemplatedSet): void {
    const start = spec.ordinals?.start ?? 0;
    const wanted = new Set(
      Array.from({ length: spec.replicas }, (_, at) => `${metadata.name}-${String(start + at)}`),
    );
    for (const { metadata: pod } of this.server.objects<PodObject>(pods)) {
      if (isOf(pod.name, metadata.name) && !wanted.has(pod.name)) {
        this.server.remove(pods, { ...own, name: pod.name });
      }
    }
    for (const name of wanted) {
      this.#makeClaim(name, spec.volumeClaimTemplates);
      if (this.server.get(pods, { ...own, name }) !== null) continue;
      this.server.put(pods, {
        ...{ apiVersion: 'v1', kind: 'Pod' },
        metadata: {
          ...{ name, namespace: own.namespace, uid: `pod-${String((this.#ids += 1))}` },
          labels: spec.template.metadata.labels ?? {},
          annotations: spec.template.metadata.annotations ?? {},
          creationTimestamp: new Date(this.#now).toISOString(),
        },
        spec: spec.template.spec,
      } as KubeObject);
    }
  }

  #makeClaim(pod: string, [template]: readonly ClaimObject[]): void {
    const name = `data-${pod}`;
    if (template === undefined) return;
    if (this.server.get(persistentVolumeClaims, { ...own, name }) !== null) return;
    this.server.put(persistentVolumeClaims, {
      ...{ apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
      metadata: {
        ...{ name, namespace: own.namespace, uid: `claim-${String((this.#ids += 1))}` },
        labels: template.metadata.labels ?? { 'sierradb.io/cluster': own.name },
      },
      spec: { ...template.spec, storageClassName: 'standard' },
      status: { capacity: template.spec?.resources?.requests ?? {} },
    } as KubeObject);
  }

  #playPod(pod: PodObject): void {
    const { name, uid = '' } = pod.metadata;
    const index = Number(/-(\d+)$/.exec(name)?.[1]);
    const { address } = placeAt(own, [], index);
    const image = pod.spec?.containers?.[0]?.image ?? '';
    if (!this.#running.has(uid) && !this.badImages.has(image)) {
      const claim = this.server.get(persistentVolumeClaims, { ...own, name: `data-${name}` });
      if (claim === null) return;
      const key = claim.metadata.uid ?? '';
      const disk = this.#disks.get(key) ?? FakeNodes.disk(index);
      this.#disks.set(key, disk);
      this.#running.set(uid, address);
      this.nodes.start(address, disk);
    }
    const isUp = this.#running.has(uid) && !this.#restarting.has(name);
    const isReady = isUp && this.nodes.isReady(address) ? 'True' : 'False';
    const known = pod.status?.conditions?.find(({ type }) => type === 'Ready')?.status;
    if (known === isReady) return;
    const lastTransitionTime = new Date(this.#now).toISOString();
    const conditions = [{ type: 'Ready', status: isReady, lastTransitionTime }];
    this.server.put(pods, { ...pod, status: { ...pod.status, conditions } });
  }

  #context(): ReconcileContext {
    return {
      ...{ kube: this.client, nodes: this.nodes, log: quiet, defaultImage: 'sierradb:1' },
      now: () => this.#now,
      newId: () => crypto.randomUUID(),
      newSecret: () => 'ab'.repeat(32),
      reported: () => undefined,
      emit: (_, { reason, message }) => void this.told.push(`${reason}: ${message}`),
    };
  }
}

const isOf = (pod: string, set: string): boolean =>
  pod.startsWith(`${set}-`) && /^\d+$/.test(pod.slice(set.length + 1));
