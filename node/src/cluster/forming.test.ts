import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { formingStep, type FormingStep, type Sight } from './forming.ts';

type Status = NonNullable<Sight['status']>;

/** Three nodes, all fresh; `changes` are by index, null for one that does not answer. */
function sights(changes: Readonly<Record<number, Partial<Status> | null>> = {}): Sight[] {
  return [0, 1, 2].map((index) => {
    const change = changes[index];
    const fresh = { member: `m${index}`, index, cluster: null, bucketCount: 4, partitionCount: 32 };
    return {
      address: `127.0.0.1:919${index}`,
      status: change === null ? null : { ...fresh, ...change },
    };
  });
}

function reasonOf(step: FormingStep): string {
  assert.equal(step.kind, 'wait');
  return `${step.isFault ? 'fault: ' : ''}${step.reason}`;
}

describe('a node with a fresh disk', () => {
  it('forms as node 0, when all are there', () => {
    assert.deepEqual(formingStep(0, sights()), {
      kind: 'form',
      members: [
        { id: 'm0', index: 0, address: '127.0.0.1:9190' },
        { id: 'm1', index: 1, address: '127.0.0.1:9191' },
        { id: 'm2', index: 2, address: '127.0.0.1:9192' },
      ],
    });
  });

  const cases: readonly (readonly [string, number, Sight[], string])[] = [
    ['leaves it to node 0', 1, sights(), 'node 0 at 127.0.0.1:9190 forms the cluster'],
    [
      'waits for all',
      0,
      sights({ 1: null, 2: null }),
      'waiting for node 1 at 127.0.0.1:9191, node 2 at 127.0.0.1:9192',
    ],
    [
      'never forms where there is a cluster',
      0,
      sights({ 1: null, 2: { cluster: 'c' } }),
      'node 2 at 127.0.0.1:9192 belongs to cluster c already; this disk is fresh and waits to be taken in',
    ],
    [
      'refuses two ids on one index',
      0,
      sights({ 2: { index: 1 } }),
      'fault: node index 1 is claimed by member m1 at 127.0.0.1:9191 and by member m2 at 127.0.0.1:9192; start one of them with another --node-index',
    ],
    [
      'refuses another one with its own index',
      0,
      sights({ 1: { index: 0 }, 2: null }),
      'fault: node index 0 is claimed by member m0 at 127.0.0.1:9190 and by member m1 at 127.0.0.1:9191; start one of them with another --node-index',
    ],
    [
      'refuses one id at two addresses',
      0,
      sights({ 2: { member: 'm1' } }),
      'fault: member m1 answers at 127.0.0.1:9191 and at 127.0.0.1:9192: one data directory was copied, or both addresses are of one node',
    ],
    [
      'refuses nodes in another order',
      0,
      sights({ 1: { index: 2 }, 2: null }),
      'fault: network.peers names 127.0.0.1:9191 as node 1, but the node there has --node-index 2',
    ],
    [
      'refuses other counts',
      0,
      sights({ 1: { bucketCount: 8 } }),
      'fault: node 1 at 127.0.0.1:9191 has bucket.count 8 and partition.count 32, this node bucket.count 4 and partition.count 32',
    ],
  ];
  for (const [name, index, seen, reason] of cases) {
    it(name, () => assert.equal(reasonOf(formingStep(index, seen)), reason));
  }

  it('says what one answers that refuses', () => {
    const [own, ...others] = sights();
    const seen = [own, { address: 'b:1', status: null, refusal: 'no' }, others[1]] as Sight[];
    assert.equal(reasonOf(formingStep(0, seen)), 'waiting for node 1 at b:1 (no)');
  });

  it('forms for no subset of what may be seen but all of it', () => {
    for (let mask = 0; mask < 8; mask += 1) {
      const changes = Object.fromEntries([1, 2].map((i) => [i, (mask >> i) & 1 ? {} : null]));
      const isAll = (mask & 6) === 6;
      assert.equal(formingStep(0, sights(changes)).kind, isAll ? 'form' : 'wait');
    }
  });
});
