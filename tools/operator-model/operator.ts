/** The operator's loop around the planner, as `operator/src/reconcile` has it: children first, then the actions, as far as they succeed. */
import {
  type Action,
  type Observed,
  type Plan,
  planOf,
  replicasOf,
} from '../../operator/src/plan/index.ts';
import { statefulSetNames } from '../../operator/src/resources/names.ts';
import type { Chance } from './chance.ts';
import type { Checks } from './checks.ts';
import type { ModelNode } from './node.ts';
import type { World } from './world.ts';

export interface Weather {
  /** Percent of actions behind which the operator crashes. */
  readonly crash: number;
  /** Percent of actions before which the world goes on. */
  readonly delay: number;
  /** Percent of looks in which the world goes on while they last. */
  readonly stale: number;
}

/** One look, and what follows from it. */
export function reconcile(world: World, checks: Checks, chance: Chance, weather: Weather): Plan {
  const id = chance.id();
  const { nodes } = world.observe(id);
  const isStale = chance.of(weather.stale);
  if (isStale) world.step();
  const { resourceVersion } = world.status;
  const observed = isStale ? { ...world.observe(id), nodes } : world.observe(id);
  const plan = planOf(observed);
  checks.plan(plan.actions, isStale);
  keepChildren(world, observed, plan);
  const look = { version: resourceVersion };
  for (const action of plan.actions) {
    if (chance.of(weather.delay)) world.step();
    try {
      apply(world, action, look);
    } catch {
      if (action.kind === 'send') continue;
      return plan;
    }
    checks.done(action);
    if (chance.of(weather.crash)) return plan;
  }
  return plan;
}

function keepChildren(world: World, observed: Observed, { actions }: Plan): void {
  const { sets } = world.kubernetes;
  const needed = replicasOf(observed);
  for (const name of statefulSetNames(observed.name, observed.spec.zones)) {
    const set = sets.get(name);
    const { revision, storageBytes } = observed;
    if (set !== undefined) set.revision = revision;
    else {
      const replicas = needed.get(name) ?? 0;
      sets.set(name, { name, uid: world.kubernetes.uid(), replicas, revision, storageBytes });
    }
  }
  for (const action of actions) {
    const set = action.kind === 'scale' ? sets.get(action.statefulSet) : undefined;
    if (action.kind === 'scale' && set !== undefined) set.replicas = action.replicas;
  }
}

/** Throws where it does not succeed. */
function apply(world: World, action: Action, look: { version: number }): void {
  const { kubernetes, status } = world;
  switch (action.kind) {
    case 'scale':
      return;
    case 'record':
      writeStatus(world, look);
      status.assignment = action.assignment;
      world.history.push(action.assignment);
      return;
    case 'rollout':
      writeStatus(world, look);
      status.rollout = action.rollout;
      return;
    case 'send':
      return nodeAt(world, action.place.index).take(action);
    case 'drain':
      return world.drain(nodeAt(world, action.place.index));
    case 'end drain':
      nodeAt(world, action.place.index).isDraining = false;
      return;
    case 'delete pod':
      byUid(kubernetes.pods, action.uid).isTerminating = true;
      return;
    case 'delete claim':
      byUid(kubernetes.claims, action.uid).isTerminating = true;
      return;
    case 'grow claim':
      for (const claim of kubernetes.claims.values()) {
        if (claim.place.claim === action.claim) claim.requestedBytes = action.bytes;
      }
      return;
    case 'orphan statefulSet':
      if (kubernetes.sets.get(action.name)?.uid === action.uid) kubernetes.sets.delete(action.name);
      return;
  }
}

function writeStatus({ status }: World, look: { version: number }): void {
  if (status.resourceVersion !== look.version) throw new Error('conflict');
  status.resourceVersion += 1;
  look.version = status.resourceVersion;
}

function nodeAt(world: World, index: number): ModelNode {
  const node = world.kubernetes.pods.get(index)?.node;
  if (node?.isReachable !== true) throw new Error('no answer');
  return node;
}

function byUid<T extends { readonly uid: string }>(map: ReadonlyMap<number, T>, uid: string): T {
  const found = [...map.values()].find((each) => each.uid === uid);
  if (found === undefined) throw new Error('not found');
  return found;
}
