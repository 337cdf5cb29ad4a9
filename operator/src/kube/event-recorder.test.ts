import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventRecorder } from './event-recorder.ts';
import { KubeError, type KubeObject, type ResourceType } from './types.ts';

const cluster: KubeObject = {
  ...{ apiVersion: 'sierradb.io/v1alpha1', kind: 'SierraCluster' },
  metadata: { namespace: 'shop', name: 'orders', uid: 'u-1', resourceVersion: '7' },
};
const scaled = { type: 'Normal', reason: 'ScaledUp', message: 'Two nodes more' } as const;

function recorder(): {
  emit: EventRecorder['emit'];
  settled: () => Promise<void>;
  written: KubeObject[];
  warnings: string[];
  state: { now: number; isAway: boolean };
} {
  const written: KubeObject[] = [];
  const warnings: string[] = [];
  const state = { now: Date.UTC(2026, 0, 1), isAway: false };
  const api = {
    create: async <T extends KubeObject>(_type: ResourceType, object: T): Promise<T> => {
      if (state.isAway) throw new KubeError('refused', { code: 0 });
      written.push(object);
      return object;
    },
  };
  const made = new EventRecorder(api, {
    ...{ controller: 'sierradb.io/operator', identity: 'operator-0', wallClock: () => state.now },
    log: { warn: (_facts, sentence) => warnings.push(sentence) },
  });
  return {
    emit: (regarding, event) => {
      made.emit(regarding, event);
    },
    settled: () => made.settled(),
    ...{ written, warnings, state },
  };
}

describe('EventRecorder', () => {
  it('writes what people see', async () => {
    const { emit, settled, written } = recorder();
    emit(cluster, { ...scaled, action: 'Scale' });
    await settled();
    const [{ metadata, ...event } = cluster] = written;
    assert.match(metadata.name, /^orders\.[0-9a-f]{16}$/);
    assert.equal(metadata.namespace, 'shop');
    assert.deepEqual(event, {
      ...{ apiVersion: 'events.k8s.io/v1', kind: 'Event' },
      ...{ eventTime: '2026-01-01T00:00:00.000000Z', type: 'Normal' },
      ...{ reason: 'ScaledUp', action: 'Scale', note: 'Two nodes more' },
      ...{ reportingController: 'sierradb.io/operator', reportingInstance: 'operator-0' },
      regarding: {
        ...{ apiVersion: 'sierradb.io/v1alpha1', kind: 'SierraCluster' },
        ...{ namespace: 'shop', name: 'orders', uid: 'u-1', resourceVersion: '7' },
      },
    });
  });

  it('does not repeat itself for ten minutes', async () => {
    const { emit, settled, written, state } = recorder();
    emit(cluster, scaled);
    emit(cluster, scaled);
    emit({ ...cluster, metadata: { ...cluster.metadata, resourceVersion: '8' } }, scaled);
    emit(cluster, { ...scaled, message: 'Three nodes more' });
    emit({ ...cluster, metadata: { ...cluster.metadata, uid: 'u-2' } }, scaled);
    await settled();
    assert.equal(written.length, 3);
    state.now += 599_999;
    emit(cluster, scaled);
    state.now += 1;
    emit(cluster, scaled);
    await settled();
    assert.equal(written.length, 4);
  });

  it('cuts what is too long, between characters', async () => {
    const { emit, settled, written } = recorder();
    const message = 'é'.repeat(600);
    const name = 'n'.repeat(253);
    emit({ ...cluster, metadata: { ...cluster.metadata, name } }, { ...scaled, message });
    await settled();
    const [event] = written as unknown as { metadata: { name: string }; note: string }[];
    assert.match(event!.note, /^é+…$/);
    const bytes = Buffer.byteLength(event!.note);
    assert.ok(bytes <= 1024 && bytes > 1000, String(bytes));
    assert.equal(event!.metadata.name.length, 253);
  });

  it('fails nobody, says so, and tells it the next time', async () => {
    const { emit, settled, written, warnings, state } = recorder();
    state.isAway = true;
    emit(cluster, scaled);
    await settled();
    assert.deepEqual(warnings, ['an event was not written']);
    state.isAway = false;
    emit(cluster, scaled);
    await settled();
    assert.equal(written.length, 1);
  });
});
