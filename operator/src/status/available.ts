import { listed } from '../plan/step.ts';
import { isAllSilent, type StatusLook } from './look.ts';
import { memberTrouble } from './member-trouble.ts';
import type { Finding } from './reasons.ts';
import { bucketsText, clipped, ended, sentence, verb } from './text.ts';

const type = 'Available';

/** True: every bucket has a leader that a majority follows. */
export function available(look: StatusLook): Finding<'Available'> {
  if (look.view.record === null) return unformed(look);
  const leaderless = look.buckets.filter(({ led }) => led === 'no');
  if (leaderless.length > 0) return withoutLeader(look);
  const unknown = look.buckets.filter(({ led }) => led === 'unknown');
  if (unknown.length === 0) {
    return { type, status: 'True', reason: 'AllBucketsLed', message: 'All buckets have leaders.' };
  }
  const message = `Who leads ${bucketsText(unknown.map(({ bucket }) => bucket))} is not known: ${silentPods(look)} not answer the operator on the cluster port. See the network policy and the logs of these pods.`;
  return { type, status: 'Unknown', reason: 'NodesSilent', message: clipped(message) };
}

function unformed(look: StatusLook): Finding<'Available'> {
  const belongs = [...look.view.statuses.values()].some(({ cluster }) => cluster !== null);
  if (belongs || isAllSilent(look)) {
    const message = belongs
      ? 'The record of who holds what is not there, though nodes belong to a cluster. It is made again when a majority of them answers.'
      : `Nothing is known yet: ${silentPods(look)} not answer the operator on the cluster port. See the network policy and the logs of these pods.`;
    return { type, status: 'Unknown', reason: 'NodesSilent', message };
  }
  const waitsFor = look.plan.next?.waitsFor ?? 'its nodes are being made';
  const message = ended(`The cluster is not formed yet: ${waitsFor}`);
  return { type, status: 'False', reason: 'NotFormed', message: clipped(message) };
}

function withoutLeader({ view, buckets }: StatusLook): Finding<'Available'> {
  const without = buckets.filter(({ led }) => led === 'no');
  const missing = [...new Set(without.flatMap((bucket) => bucket.missing))];
  const told = missing.map((id) => `${view.nameOf(id)} ${memberTrouble(view, id)}`).sort();
  const text = bucketsText(without.map(({ bucket }) => bucket));
  const count = verb(without.length, 'has', 'have');
  const remedy =
    told.length === 0
      ? 'An election should end that within seconds.'
      : `${listed(told)}. Appends and reads there fail until a majority of the copies is back: see the events of these pods.`;
  const message = clipped(`${sentence(text)} ${count} no leader. ${remedy}`);
  return { type, status: 'False', reason: 'BucketsWithoutLeader', message };
}

/** `orders-1 does`, `orders-1 and orders-2 do`. */
export function silentPods({ view, pods }: StatusLook): string {
  const silent = pods
    .filter(({ place, isReady, isHostReady }) => {
      return view.statusAt(place.index) === null && (isReady || !isHostReady);
    })
    .map(({ place }) => place.pod);
  return `${listed(silent)} ${verb(silent.length, 'does', 'do')}`;
}
