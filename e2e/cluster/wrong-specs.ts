/** Specs that the API server must refuse, each with what its message must say: what is wrong and what to do. */

export interface WrongSpec {
  readonly title: string;
  readonly name?: string;
  /** What is there before; absent: nothing. */
  readonly before?: object;
  readonly spec: object;
  readonly says: RegExp;
}

export const wrongSpecs: readonly WrongSpec[] = [
  { title: 'no nodes', spec: { nodes: 0 }, says: /nodes must be 1 to 64: to stop a cluster/ },
  { title: 'more nodes than there may be', spec: { nodes: 65 }, says: /nodes must be 1 to 64/ },
  {
    title: 'more copies than nodes',
    spec: { nodes: 2, replication: { factor: 3 } },
    says: /factor is larger than nodes.*raise nodes, or lower the factor/,
  },
  {
    title: 'six copies',
    spec: { nodes: 8, replication: { factor: 6 } },
    says: /replication\.factor must be 1 to 5: 3 survives/,
  },
  {
    title: 'more buckets than there may be',
    spec: { buckets: { count: 512, partitions: 1024 } },
    says: /buckets\.count must be 1 to 256/,
  },
  {
    title: 'fewer partitions than buckets',
    spec: { buckets: { count: 64, partitions: 32 } },
    says: /fewer partitions than buckets.*raise partitions, or lower count/,
  },
  {
    title: 'a zone twice',
    spec: { zones: ['a', 'b', 'a'] },
    says: /a zone is named twice: name each once/,
  },
  {
    title: 'a zone that is no value of a label',
    spec: { zones: ['zone a'] },
    says: /no value of a label: use those that `kubectl get nodes/,
  },
  {
    title: 'a size without a unit that there is',
    spec: { storage: { size: '10 GB' } },
    says: /storage\.size is no quantity: write it like/,
  },
  {
    title: 'a size that is too small',
    spec: { storage: { size: '10Mi' } },
    says: /ask for 256Mi or more/,
  },
  {
    title: 'a setting that the operator makes',
    spec: { config: { 'node.count': 5 } },
    says: /a setting that the operator makes: leave out .*set nodes, buckets\.count/,
  },
  {
    title: 'a setting that nodes do not have',
    spec: { config: { 'cache.size': '1GiB' } },
    says: /a setting that nodes do not have: see the table of settings in README\.md/,
  },
  {
    title: 'a wait that is too short',
    spec: { updates: { progressDeadlineSeconds: 1 } },
    says: /progressDeadlineSeconds must be 10 to 86400/,
  },
  {
    title: 'a strategy that there is not',
    spec: { updates: { strategy: 'Recreate' } },
    says: /supported values: "Rolling", "Manual"/,
  },
  {
    title: 'no time to stop',
    spec: { disruption: { terminationGracePeriodSeconds: 0 } },
    says: /terminationGracePeriodSeconds must be 10 to 3600: a node needs/,
  },
  {
    title: 'a label by which pods are found',
    spec: { pod: { labels: { 'app.kubernetes.io/name': 'events' } } },
    says: /a label by which the operator finds its pods: leave out/,
  },
  {
    title: 'an override of the selector',
    spec: { overrides: { statefulSet: { spec: { selector: { matchLabels: { a: 'b' } } } } } },
    says: /may not change selector, serviceName.*leave them out/,
  },
  {
    title: 'an override of the number of pods',
    spec: { overrides: { statefulSet: { spec: { replicas: 5 } } } },
    says: /may not set replicas: set spec\.nodes/,
  },
  {
    title: 'an override of the volumes',
    spec: { overrides: { statefulSet: { spec: { volumeClaimTemplates: [] } } } },
    says: /may not change volumes: set storage\.size/,
  },
  {
    title: 'a field that there is not',
    spec: { replicas: 3 },
    says: /unknown field "(spec\.)?replicas"/,
  },
  {
    title: 'a name that is too long',
    name: 'a-name-that-is-much-longer-than-forty-characters',
    spec: {},
    says: /more than 40 characters: choose a shorter one/,
  },
  {
    title: 'a name that no Service may have',
    name: '0rders',
    spec: {},
    says: /the name becomes that of a Service: begin it with a letter/,
  },
  {
    title: 'another number of buckets',
    before: { buckets: { count: 16 } },
    spec: { buckets: { count: 32 } },
    says: /buckets\.count is fixed when a cluster is made.*put back the old value/,
  },
  {
    title: 'another number of partitions',
    before: {},
    spec: { buckets: { partitions: 512 } },
    says: /buckets\.partitions is fixed when a cluster is made.*put back the old value/,
  },
  {
    title: 'smaller volumes',
    before: { storage: { size: '2Gi' } },
    spec: { storage: { size: '1.5Gi' } },
    says: /storage\.size only grows.*put back the old size/,
  },
  {
    title: 'another storage class',
    before: { storage: { storageClassName: 'fast' } },
    spec: { storage: { storageClassName: 'cheap' } },
    says: /storageClassName is fixed when a cluster is made.*put back what was/,
  },
  {
    title: 'a storage class where there was none',
    before: {},
    spec: { storage: { storageClassName: 'fast' } },
    says: /storageClassName is fixed when a cluster is made/,
  },
  {
    title: 'other zones',
    before: { zones: ['a', 'b', 'c'] },
    spec: { zones: ['a', 'c', 'b'] },
    says: /zones are fixed when a cluster is made.*put back what was there/,
  },
  {
    title: 'zones where there were none',
    before: {},
    spec: { zones: ['a'] },
    says: /zones are fixed when a cluster is made/,
  },
];
