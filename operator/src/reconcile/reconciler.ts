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
import { podMonitors, sierraClusters } from '../kube/resources.ts';
import { KubeError, type ObjectName } from '../kube/types.ts';
import { CONVERGED_MS, type Plan, planOf, type Observed } from '../plan/index.ts';
import {
  childrenOf,
  type Owner,
  ownerOf,
  revisionOf,
  unwantedChildren,
} from '../resources/index.ts';
import { sameStatus, statusOf } from '../status/index.ts';
import { applyActions, writeStatus } from './apply.ts';
import { ChildKeeper } from './children.ts';
import { keepClaims } from './claims.ts';
import { clusterSecret } from './cluster-secret.ts';
import type { ReconcileContext } from './context.ts';
import { observe } from './observe.ts';

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
      const { message } = error as Error;
      this.#context.emit(cluster, { type: 'Warning', reason: 'LookFailed', message });
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
    const secret = await clusterSecret(context, cluster, own, isUntouched);
    const revision = revisionOf(own, spec);
    const { observed, claims } = await observe(context, { cluster, spec, secret, revision });
    const volumeBytes = Math.max(0, ...observed.claims.map((claim) => claim.requestedBytes));
    const refusals = refusalsOf(spec, record, { volumeBytes });
    const plan = refusals.length > 0 ? refused(refusals) : planOf(observed);
    let current = cluster;
    try {
      if (secret !== null && !spec.paused && refusals.length === 0) {
        await keepClaims(context.kube, own, claims, spec.whenDeleted);
        await this.#keepChildren(observed, plan, own);
        const written = (cluster: SierraCluster): void => void (current = cluster);
        const applying = { context, namespace: own.namespace, secret, written, observed };
        await applyActions(applying, cluster, plan.actions);
      }
    } catch (error) {
      // Somebody has written meanwhile: what was seen is not worth reporting. In other cases it is.
      if (!isConflict(error)) await this.#report(current, observed, failed(plan, error));
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
      await this.#keeper.remove(type, name, own.name);
    }
    for (const child of children) {
      if (await this.#keeper.keep(child)) {
        const { kind, metadata } = child.object;
        const facts = { cluster: `${own.namespace}/${own.name}`, kind, name: metadata.name };
        this.#context.log.info(facts, 'applied');
      }
    }
  }
}

const isConflict = (error: unknown): boolean =>
  error instanceof KubeError && error.reason === 'Conflict';

const isTerminating = (error: unknown): boolean =>
  error instanceof KubeError && error.code === 403 && /being terminated/.test(error.message);

/** People see what keeps it from going on, not only whoever reads the log. */
function failed(plan: Plan, error: unknown): Plan {
  const { action = 'apply what was planned', target = null } = plan.next ?? {};
  return { ...plan, next: { action, target, waitsFor: (error as Error).message } };
}

/** Nothing is done while the spec is refused: what runs goes on as it is. */
function refused(refusals: readonly Refusal[]): Plan {
  const waitsFor = refusals[0]?.message ?? null;
  return {
    ...{ actions: [], events: [], lookAgainMs: CONVERGED_MS, refusals },
    next: { action: 'nothing', target: null, waitsFor },
  };
}
