import type { KubeObject } from '../kube/types.ts';
import { childNames, clusterLabels, labels } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

/** Has the Prometheus operator collect the nodes' metrics. */
export const podMonitorOf = (owner: Owner): KubeObject & { spec: object } => ({
  apiVersion: 'monitoring.coreos.com/v1',
  kind: 'PodMonitor',
  metadata: childMeta(owner, childNames.podMonitor(owner.name)),
  spec: {
    selector: { matchLabels: clusterLabels(owner) },
    podTargetLabels: [labels.cluster],
    podMetricsEndpoints: [{ port: 'admin', path: '/metrics' }],
  },
});
