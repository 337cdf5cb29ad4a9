import { listed } from '../plan/step.ts';
import { silentPods } from './available.ts';
import { isAllSilent, type StatusLook } from './look.ts';
import { diskTrouble, memberTrouble, podTrouble } from './member-trouble.ts';
import type { Finding, ReasonOf } from './reasons.ts';
import { bucketsText, clipped, sentence, verb } from './text.ts';

/** True: less would have to fail than should before something stands still. The worst comes first. */
export function degraded(look: StatusLook): Finding<'Degraded'> {
  return (
    lostMembers(look) ??
    damagedCopies(look) ??
    claimsInTrouble(look) ??
    podsInTrouble(look) ??
    missingCopies(look) ??
    silence(look) ??
    healthy(look)
  );
}

const finding = (
  status: Finding['status'],
  reason: ReasonOf<'Degraded'>,
  message: string,
): Finding<'Degraded'> => ({ type: 'Degraded', status, reason, message: clipped(message) });

function lostMembers({ view }: StatusLook): Finding<'Degraded'> | null {
  const members = view.record?.members ?? [];
  const disks = members.flatMap((member) => {
    const trouble = diskTrouble(view, member);
    return trouble === null ? [] : [`${view.nameOf(member.id)} ${trouble}`];
  });
  if (disks.length > 0) {
    const message = `${listed(disks.sort())}. Its copies are made again from the others, as soon as the pod answers with a fresh disk; bring no older volume back.`;
    return finding('True', 'MemberLost', message);
  }
  const hosts = members
    .filter(({ index }) => view.pod(index)?.isHostReady === false)
    .map(({ id }) => view.nameOf(id));
  if (hosts.length === 0) return null;
  const message = `The ${verb(hosts.length, 'host', 'hosts')} of ${listed(hosts.sort())} ${verb(hosts.length, 'is', 'are')} gone or not ready. When a host is off for good, delete its Node object, or the pod by force: the operator never does.`;
  return finding('True', 'MemberLost', message);
}

function damagedCopies({ view, buckets }: StatusLook): Finding<'Degraded'> | null {
  const damaged = buckets.filter((bucket) => bucket.damaged.length > 0);
  if (damaged.length === 0) return null;
  const pods = new Set(damaged.flatMap((bucket) => bucket.damaged).map((id) => view.nameOf(id)));
  const text = bucketsText(damaged.map(({ bucket }) => bucket));
  const message = `The copies of ${text} on ${listed([...pods].sort())} are damaged and out of use. See the logs of these pods; a pod whose disk is bad gets a new one when its claim and then the pod are deleted.`;
  return finding('True', 'ReplicaDamaged', message);
}

function claimsInTrouble({ view }: StatusLook): Finding<'Degraded'> | null {
  const going = view.observed.claims
    .filter(({ place, isTerminating }) => isTerminating && view.hasMemberAt(place.index))
    .map(({ place }) => place.claim);
  if (going.length === 0) return null;
  const message = `Somebody has deleted ${verb(going.length, 'claim', 'claims')} ${listed(going.sort())}: its data is gone when its pod stops. The copies are made again on a new volume then; delete no other one before all copies are there.`;
  return finding('True', 'ClaimInTrouble', message);
}

function podsInTrouble({ view, needed }: StatusLook): Finding<'Degraded'> | null {
  const bad = needed.filter((index) => (view.pod(index)?.trouble ?? null) !== null);
  if (bad.length === 0) return null;
  const told = bad.map((index) => `${view.placeAt(index).pod} ${podTrouble(view, index) ?? ''}`);
  return finding('True', 'PodInTrouble', `${listed(told)}. See the events of the pod.`);
}

function missingCopies({ view, buckets, observed }: StatusLook): Finding<'Degraded'> | null {
  const short = buckets.filter(({ missing }) => missing.length > 0);
  if (short.length === 0) return null;
  const members = [...new Set(short.flatMap(({ missing }) => missing))];
  const text = bucketsText(short.map(({ bucket }) => bucket));
  const count = verb(short.length, 'has', 'have');
  const pod = observed.rollout?.pod ?? null;
  if (pod !== null && members.every((id) => view.nameOf(id) === pod)) {
    const message = `${sentence(text)} ${count} a copy fewer while ${pod} is replaced.`;
    return finding('True', 'PodBeingReplaced', message);
  }
  const told = members.map((id) => `${view.nameOf(id)} ${memberTrouble(view, id)}`).sort();
  const message = `${sentence(text)} ${count} fewer copies that are up to date than there should be: ${listed(told)}.`;
  return finding('True', 'TooFewCopies', message);
}

function silence(look: StatusLook): Finding<'Degraded'> | null {
  const unknown = look.buckets.filter((bucket) => bucket.unknown.length > 0);
  if (unknown.length === 0 && !(look.view.record === null && isAllSilent(look))) return null;
  const message = `${silentPods(look)} not answer the operator on the cluster port, though the pod is ready: how its copies are is not known. See the network policy and the log of the pod.`;
  return finding('Unknown', 'NodesSilent', message);
}

function healthy({ view }: StatusLook): Finding<'Degraded'> {
  if (view.record === null) return finding('False', 'NotFormed', 'There are no copies yet.');
  return finding('False', 'AllCopiesHealthy', 'All copies are there and up to date.');
}
