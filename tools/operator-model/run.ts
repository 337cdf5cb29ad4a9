/**
 * A model run by seed: a cluster is made, wanted otherwise again and again while things go wrong, then left in peace. It must become
 * what it is wanted to be, in so many steps, and then not be touched any more.
 */
import assert from 'node:assert/strict';
import type { Assignment, BucketAssignment } from '../../common/assignment.ts';
import { place } from '../../common/placement.ts';
import { settledSpec, type SettledSpec } from '../../operator/src/api/sierra-cluster.ts';
import type { Plan } from '../../operator/src/plan/index.ts';
import { Chance } from './chance.ts';
import { Checks } from './checks.ts';
import { Faults } from './faults.ts';
import { reconcile, type Weather } from './operator.ts';
import { type Wanted, World } from './world.ts';

const GIB = 2 ** 30;
const NODES_MAX = 6;
const PEACE_STEPS = 1500;
const QUIET_STEPS = 10;

export interface ModelReport {
  readonly steps: number;
  readonly actions: number;
  readonly records: number;
}

/** `trace` is told what is wanted, what goes wrong, and what is planned. */
export function run(
  seed: number,
  trace: (line: () => string) => void = () => undefined,
): ModelReport {
  const chance = new Chance(seed);
  const world = new World(firstWanted(chance), chance);
  const checks = new Checks(world);
  const faults = new Faults(world, chance, trace);
  trace(() => `wanted: ${wantedText(world.wanted)}`);
  const weather: Weather = {
    crash: [0, 30, 100][chance.below(3)] ?? 0,
    delay: [0, 20][chance.below(2)] ?? 0,
    stale: [0, 0, 30][chance.below(3)] ?? 0,
  };
  const report = { steps: 0, actions: 0, records: 0 };
  const look = (during: Weather): Plan => {
    const plan = reconcile(world, checks, chance, during);
    trace(
      () =>
        `${String(report.steps)} ${show(plan)}${plan.events.map((e) => ` (${e.reason}: ${e.message})`).join('')}`,
    );
    report.actions += plan.actions.length;
    report.records += plan.actions.filter(({ kind }) => kind === 'record').length;
    return plan;
  };
  for (const until = 60 + chance.below(60); report.steps < until; report.steps += 1) {
    world.step();
    if (chance.of(5)) {
      world.wanted = otherWanted(world.wanted, chance, world);
      trace(() => `${String(report.steps)} wanted: ${wantedText(world.wanted)}`);
    }
    faults.step();
    if (chance.of(70)) look(weather);
  }
  world.wanted = lastWanted(world.wanted);
  trace(() => `${String(report.steps)} peace; wanted: ${wantedText(world.wanted)}`);
  faults.end();
  for (let at = 0, quiet = 0; quiet < QUIET_STEPS; at += 1, report.steps += 1) {
    world.step();
    const plan = look({ crash: weather.crash, delay: 0, stale: 0 });
    faults.follow(plan);
    const isQuiet = plan.actions.length === 0 && plan.next === null;
    assert(quiet === 0 || plan.actions.length === 0, `touched again: ${show(plan)}`);
    quiet = isQuiet ? quiet + 1 : 0;
    assert(at < PEACE_STEPS, `it comes to no end: ${show(plan)}`);
  }
  assertAsWanted(world);
  return report;
}

function wantedText({ spec, revision, storageBytes }: Wanted): string {
  const { nodes, zones, factor, whenScaled, updates, rebalance } = spec;
  return JSON.stringify({
    nodes,
    zones,
    factor,
    whenScaled,
    updates,
    rebalance,
    revision,
    storageBytes,
  });
}

/** Replicas that begin while a cluster grows or shrinks undisturbed, and how many {@link place} begins at once. */
export function movesOf(seed: number): { readonly begun: number; readonly needed: number } {
  const chance = new Chance(seed);
  const world = new World(firstWanted(chance), chance);
  const checks = new Checks(world);
  world.kubernetes.startPercent = 100;
  const calm: Weather = { crash: 0, delay: 0, stale: 0 };
  const settle = (): Assignment[] => {
    const records: Assignment[] = [];
    for (let quiet = 0, at = 0; quiet < QUIET_STEPS; at += 1) {
      world.step();
      const plan = reconcile(world, checks, chance, calm);
      for (const action of plan.actions) {
        if (action.kind === 'record') records.push(action.assignment);
      }
      quiet = plan.actions.length === 0 && plan.next === null ? quiet + 1 : 0;
      assert(at < PEACE_STEPS, `it comes to no end: ${show(plan)}`);
    }
    return records;
  };
  settle();
  const before = world.status.assignment as Assignment;
  const { zones } = world.wanted.spec;
  world.wanted = { ...world.wanted, spec: specOf(chance, 1 + chance.below(NODES_MAX), zones) };
  const records = settle();
  const after = world.status.assignment as Assignment;
  const { factor, rebalance } = world.wanted.spec;
  const holders = after.members.map(({ id, index }) => ({ id, zone: world.placeAt(index).zone }));
  const options = { factor, version: before.version + 1, rebalance: rebalance === 'Auto' };
  const needed = begunIn(place(before, holders, options), options.version);
  const begun = records.reduce((sum, each) => sum + begunIn(each.buckets, each.version), 0);
  return { begun, needed };
}

const begunIn = (buckets: readonly BucketAssignment[], version: number): number =>
  buckets.flatMap(({ replicas }) => replicas).filter(({ since }) => since === version).length;

function show({ actions, next }: Plan): string {
  const told = actions.map((action) => {
    if (action.kind !== 'record' && action.kind !== 'send') return JSON.stringify(action);
    return `${action.kind} ${String(action.assignment.version)}`;
  });
  return `${JSON.stringify(next)} ${told.join(' ')}`;
}

function specOf(chance: Chance, nodes: number, zones: readonly string[]): SettledSpec {
  const factor = chance.of(70)
    ? {}
    : { replication: { factor: 1 + chance.below(Math.min(nodes, 3)) } };
  const retention = { whenScaled: chance.of(80) ? ('Delete' as const) : ('Retain' as const) };
  return settledSpec(
    {
      ...{ nodes, zones, ...factor, buckets: { count: 4, partitions: 8 }, storage: { retention } },
      updates: { progressDeadlineSeconds: 120, strategy: chance.of(90) ? 'Rolling' : 'Manual' },
      rebalance: { mode: chance.of(80) ? 'Auto' : 'Off' },
    },
    { image: 'i' },
  );
}

function firstWanted(chance: Chance): Wanted {
  const zones = chance.of(70) ? [] : ['a', 'b', 'c'].slice(0, 1 + chance.below(3));
  const spec = specOf(chance, 1 + chance.below(NODES_MAX), zones);
  return { spec, revision: 'r1', storageBytes: GIB };
}

function otherWanted(
  { spec, revision, storageBytes }: Wanted,
  chance: Chance,
  world: World,
): Wanted {
  const what = chance.below(10);
  if (what < 5) {
    const other = specOf(chance, 1 + chance.below(NODES_MAX), spec.zones);
    return { spec: other, revision, storageBytes };
  }
  if (what === 5) return { spec, revision, storageBytes: storageBytes + GIB };
  const next = chance.of(30) ? 'r1' : `r${String(2 + chance.below(1000))}`;
  if (next !== 'r1' && chance.of(25)) world.kubernetes.badRevisions.add(next);
  return { spec, revision: next, storageBytes };
}

/** Nothing is asked for that cannot be had. */
function lastWanted(wanted: Wanted): Wanted {
  return { ...wanted, spec: { ...wanted.spec, updates: 'Rolling' }, revision: 'r-last' };
}

function assertAsWanted(world: World): void {
  const { kubernetes, status, wanted, wantedPlaces, groups } = world;
  const { spec, revision, storageBytes } = wanted;
  const indexes = wantedPlaces.map(({ index }) => index).sort((a, b) => a - b);
  assert.deepEqual(
    [...kubernetes.pods.keys()].sort((a, b) => a - b),
    indexes,
    'pods',
  );
  for (const pod of kubernetes.pods.values()) {
    assert.equal(pod.revision, revision);
    assert(world.isPodReady(pod), `${pod.place.pod} is ready`);
    assert.equal(pod.node?.isDraining, false);
  }
  const members = status.assignment?.members ?? [];
  assert.deepEqual(
    members.map(({ index }) => index).sort((a, b) => a - b),
    indexes,
    'members',
  );
  assert.equal(status.rollout, null);
  for (const claim of kubernetes.claims.values()) {
    if (!indexes.includes(claim.place.index)) assert.equal(spec.whenScaled, 'Retain', 'claims');
    else assert(claim.actualBytes >= storageBytes, `${claim.place.claim} has grown`);
  }
  for (const set of kubernetes.sets.values()) assert(set.storageBytes >= storageBytes);
  for (const group of groups.values()) {
    assert.equal(group.ids.length, spec.factor, 'copies');
    for (const id of group.ids) assert(world.isWell(group, id), 'copies are whole');
  }
}
