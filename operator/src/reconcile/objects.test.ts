import assert from 'node:assert/strict';
import test from 'node:test';

import { type PodObject, troubleOf } from './objects.ts';

const pod = (status: PodObject['status']): PodObject =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status }) as PodObject;

const waiting = (reason: string, message?: string): PodObject =>
  pod({
    containerStatuses: [
      { name: 'node', state: { waiting: { reason, ...(message !== undefined && { message }) } } },
    ],
  });

test('a pod that is being made is in no trouble', () => {
  assert.equal(troubleOf(pod({})), null);
  assert.equal(troubleOf(waiting('ContainerCreating')), null);
  assert.equal(troubleOf(pod({ phase: 'Running' })), null);
});

test('what the kubelet or the scheduler says is told', () => {
  assert.equal(troubleOf(waiting('CrashLoopBackOff')), 'CrashLoopBackOff');
  assert.equal(troubleOf(waiting('ErrImagePull', 'no such tag')), 'ErrImagePull: no such tag');
  const conditions = [
    { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes' },
  ];
  assert.equal(troubleOf(pod({ conditions })), 'Unschedulable: 0/3 nodes');
  assert.equal(troubleOf(pod({ phase: 'Failed', reason: 'Evicted' })), 'Evicted');
});
