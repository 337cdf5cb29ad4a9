import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planOf } from './index.ts';
import { at, GIB, observedOf } from './testing/observed.ts';
import type { Observed } from './types.ts';

const storageBytes = 20 * GIB;
const grown = { requestedBytes: storageBytes, actualBytes: storageBytes };
const growing = (changes: Partial<Observed> = {}): Observed =>
  observedOf({}, { storageBytes, ...changes });

describe('volumes', () => {
  it('grow one by one, then the StatefulSet is made again', () => {
    const { claims } = growing();
    const grow = (claim: string) => [{ kind: 'grow claim', claim, bytes: storageBytes }];
    assert.deepEqual(planOf(growing()).actions, grow('data-orders-0'));
    const asked = at(claims, 0, { requestedBytes: storageBytes });
    const waiting = planOf(growing({ claims: asked }));
    assert.deepEqual(waiting.actions, []);
    assert.match(waiting.next?.waitsFor ?? '', /data-orders-0 is growing/);
    assert.deepEqual(
      planOf(growing({ claims: at(claims, 0, grown) })).actions,
      grow('data-orders-1'),
    );

    const all = claims.map((claim) => ({ ...claim, ...grown }));
    assert.deepEqual(planOf(growing({ claims: all })).actions, [
      { kind: 'orphan statefulSet', name: 'orders', uid: 'set-orders' },
    ]);
    const sets = growing().statefulSets.map((set) => ({ ...set, storageBytes }));
    assert.deepEqual(planOf(growing({ claims: all, statefulSets: sets })).actions, []);
  });

  it('do not begin to grow where one of them cannot', () => {
    const { claims } = growing();
    const plan = planOf(growing({ claims: at(claims, 2, { canExpand: false }) }));
    assert.deepEqual(plan.actions, []);
    assert.match(plan.next?.waitsFor ?? '', /allowVolumeExpansion/);
  });

  it('hold up no pods', () => {
    const plan = planOf(observedOf({ nodes: 5 }, { storageBytes }, observedOf().spec));
    assert.deepEqual(
      plan.actions.map(({ kind }) => kind),
      ['scale', 'grow claim'],
    );
  });

  it('never shrink', () => {
    assert.deepEqual(planOf(observedOf({}, { storageBytes: GIB })).actions, []);
  });
});
