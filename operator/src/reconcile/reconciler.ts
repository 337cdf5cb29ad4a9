/**
 * Brings one cluster nearer to what its resource asks for: look, plan, apply, report. It holds no state of a cluster between two
 * runs: whatever has to outlive one is in the resource's status before anything else is done with it.
 *
 * ```ts
 * const reconciler = new Reconciler(context);
 * const againMs = await reconciler.reconcile({ namespace: 'shop', name: 'orders' });
 * ```
 */
import { settledSpec, type SierraCluster } from '../api/sierra-cluster.ts';
import { type Refusal, refusalsOf } from '../api/validation.ts';
import { podMonitors, secrets, sierraClusters } from '../kube/resources.ts';
import { KubeError, type ObjectName } from '../kube/types.ts';
import { type Plan, planOf, type Observed } from '../plan/index.ts';
import {
  childrenOf,
  type Owner,
  ownerOf,
  revisionOf,
  secretOf,
  unwantedChildren,
} from '../resources/index.ts';
import { childNames, SECRET_KEY } from '../resources/names.ts';
import { sameStatus, statusOf } from '../status/index.ts';
import { applyActions, writeStatus } from './apply.ts';
import { ChildKeeper } from './children.ts';
import type { ReconcileContext } from './context.ts';
import type { SecretObject } from './objects.ts';
import { observe } from './observe.ts';

/** When nothing was seen to change: nodes do not tell by themselves what happens among them. */
export const SETTLED_MS = 15_000;
/** After a conflict: what was read is old already. */
const AT_ONCE_MS = 50;

export class Reconciler {
  readonly #context: ReconcileContext;
  readonly #keeper: ChildKeeper;

  constructor(context: ReconcileContext) {
    this.#context = context;
    this.#keeper = new ChildKeeper(context.kube);
  }

  /** Answers when to look again, in milliseconds; null: the cluster is gone. Rejects with what has failed: it is to be tried again. */
  async reconcile(name: ObjectName): Promise<number | null> {
    const cluster = await this.#context.kube.get<SierraCluster>(sierraClusters, name);
    if (cluster === null || cluster.metadata.deletionTimestamp !== undefined) {
      this.#context.reported(name, null);
      return null;
    }
    try {
      return await this.#run(cluster);
    } catch (error) {
      if (isConflict(error)) return AT_ONCE_MS;
      // It goes with its namespace, or has gone while it was looked at.
      if (isTerminating(error) || (await this.#isGone(name))) return null;
      throw error;
    }
  }

  async #isGone(name: ObjectName): Promise<boolean> {
    const found = await this.#context.kube.get(sierraClusters, name).catch(() => undefined);
    return found === null;
  }

  async #run(cluster: SierraCluster): Promise<number> {
    const context = this.#context;
    const spec = settledSpec(cluster.spec, { image: context.defaultImage });
    const record = cluster.status?.assignment ?? null;
    const own = ownerOf(cluster);
    const isUntouched = spec.paused || refusalsOf(spec, record).length > 0;
    const secret = await this.#secretOf(cluster, own, isUntouched);
    const revision = revisionOf(own, spec);
    const observed = await observe(context, { cluster, spec, secret, revision });
    const volumeBytes = Math.max(0, ...observed.claims.map((claim) => claim.requestedBytes));
    const refusals = refusalsOf(spec, record, { volumeBytes });
    const plan = refusals.length > 0 ? refused(refusals) : planOf(observed);
    let current = cluster;
    try {
      if (secret !== null && !spec.paused && refusals.length === 0) {
        await this.#keepChildren(observed, plan, own);
        const applying = { context, namespace: own.namespace, secret };
        current = await applyActions(applying, cluster, plan.actions);
      }
    } catch (error) {
      // Somebody has written meanwhile: what was seen is not worth reporting. In other cases it is.
      if (!isConflict(error)) await this.#report(current, observed, plan);
      throw error;
    }
    for (const event of plan.events) context.emit(cluster, event);
    await this.#report(current, observed, plan);
    return plan.lookAgainMs;
  }

  async #report(cluster: SierraCluster, observed: Observed, plan: Plan): Promise<void> {
    const previous = cluster.status;
    // What the actions have recorded meanwhile stays.
    const {
      assignment: _assignment,
      rollout: _rollout,
      ...seen
    } = statusOf(observed, plan, previous);
    const kept = {
      ...(previous?.assignment !== undefined && { assignment: previous.assignment }),
      ...(previous?.rollout !== undefined && { rollout: previous.rollout }),
    };
    const status = { ...seen, ...kept };
    this.#context.reported(cluster.metadata, status.phase ?? null);
    if (previous !== undefined && sameStatus(status, previous)) return;
    await writeStatus(this.#context, { ...cluster, status }, {});
  }

  async #keepChildren(observed: Observed, plan: Plan, own: Owner): Promise<void> {
    const replicas = new Map(observed.statefulSets.map((set) => [set.name, set.replicas]));
    const sizes = new Map(observed.statefulSets.map((set) => [set.name, set.storageBytes]));
    for (const action of plan.actions) {
      if (action.kind === 'scale') replicas.set(action.statefulSet, action.replicas);
    }
    const { kube } = this.#context;
    const state = { podMonitors: await kube.serves(podMonitors) };
    // Claim templates cannot be changed: the planner has the StatefulSet made again.
    const children = childrenOf(own, observed.spec, { ...state, replicas, storageBytes: sizes });
    for (const { type, name } of unwantedChildren(own, observed.spec, state)) {
      if ((await kube.get(type, name)) !== null) await kube.delete(type, name);
    }
    for (const child of children) {
      if (await this.#keeper.keep(child)) {
        const { kind, metadata } = child.object;
        const facts = { cluster: `${own.namespace}/${own.name}`, kind, name: metadata.name };
        this.#context.log.info(facts, 'applied');
      }
    }
  }

  /** Made once; whoever loses it gets a new one, which all pods read when they start. */
  async #secretOf(cluster: SierraCluster, own: Owner, isReadOnly: boolean): Promise<string | null> {
    const { kube, newSecret } = this.#context;
    const name = { namespace: own.namespace, name: childNames.secret(own.name) };
    const known = await kube.get<SecretObject>(secrets, name);
    const text = known?.data?.[SECRET_KEY];
    if (text !== undefined) return Buffer.from(text, 'base64').toString('utf8');
    if (isReadOnly) return null;
    const secret = newSecret();
    await kube.create(secrets, secretOf(own, secret));
    this.#context.log.info({ ...name, cluster: cluster.metadata.name }, 'secret made');
    return secret;
  }
}

const isConflict = (error: unknown): boolean =>
  error instanceof KubeError && error.reason === 'Conflict';

const isTerminating = (error: unknown): boolean =>
  error instanceof KubeError && error.code === 403 && /being terminated/.test(error.message);

/** Nothing is done while the spec is refused: what runs goes on as it is. */
function refused(refusals: readonly Refusal[]): Plan {
  const waitsFor = refusals[0]?.message ?? null;
  return {
    ...{ actions: [], events: [], lookAgainMs: SETTLED_MS, refusals },
    next: { action: 'nothing', target: null, waitsFor },
  };
}
