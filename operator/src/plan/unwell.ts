/** What is not as it should be though nothing can be done about it from here, with what a person can do. Values only. */
import type { PlanStatus } from '../api/sierra-cluster.ts';
import type { ClusterView } from './cluster-view.ts';
import { listed } from './step.ts';

/** Null: all is well. */
export function unwell(view: ClusterView): PlanStatus | null {
  const { pods } = view.observed;
  const lost = pods.filter(({ isHostReady }) => !isHostReady);
  if (lost.length > 0) {
    const names = listed(lost.map(({ place }) => place.pod));
    const waitsFor = `the host is gone or not ready; when it is off for good, delete its Node object or force the deletion of ${names}: the operator never does`;
    return { action: 'wait for a host', target: names, waitsFor };
  }
  const over = pods.filter(
    ({ place: { index } }) => !view.isWanted(index) && !view.hasMemberAt(index),
  );
  const [first] = over;
  if (first !== undefined) return waitForPod(first.place.pod, 'it has left, and is stopping');
  const needed = [
    ...view.wanted,
    ...(view.record?.members ?? []).map(({ index }) => view.placeAt(index)),
  ];
  for (const { index, pod: name } of needed) {
    const pod = view.pod(index);
    if (pod === undefined) return waitForPod(name, 'it is being made');
    if (pod.isTerminating) return waitForPod(name, 'it is stopping');
    if (!pod.isReady) return waitForPod(name, pod.trouble ?? 'it is not ready');
    if (view.statusAt(index) === null) return waitForPod(name, 'it does not answer the operator');
  }
  return null;
}

const waitForPod = (target: string, waitsFor: string): PlanStatus => ({
  ...{ action: 'wait for a pod', target, waitsFor },
});
