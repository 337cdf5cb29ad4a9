/** `UPDATE=1` writes the golden files: the whole of what a resource becomes, to be read in a review. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { dump, load } from 'js-yaml';

import type { SierraClusterSpec } from '../api/sierra-cluster.ts';
import type { KubeObject } from '../kube/types.ts';
import { appliedHash, childrenOf, unwantedChildren } from './index.ts';
import { annotations, clusterLabels } from './names.ts';
import { everything, find, owner, render, settle, zoned } from './testing/rendered.ts';

const appliedOf = ({ metadata }: KubeObject): string =>
  metadata.annotations?.[annotations.applied] ?? '';

describe('the children of a cluster', () => {
  const goldens: readonly (readonly [file: string, objects: readonly KubeObject[]])[] = [
    ['defaults.yaml', render({})],
    ['everything.yaml', render(everything, zoned)],
  ];
  for (const [file, objects] of goldens) {
    it(`are those of ${file}`, () => {
      const path = join(import.meta.dirname, 'testdata', file);
      if (process.env['UPDATE'] === '1') {
        const text = objects.map((object) => dump(object, { lineWidth: 120, noRefs: true }));
        writeFileSync(path, text.join('---\n'));
      }
      const documents = readFileSync(path, 'utf8')
        .split(/^---$/m)
        .map((text) => load(text));
      assert.deepEqual(documents, objects);
    });
  }

  it('belong to it, have its labels, and tell what was applied', () => {
    for (const object of render(everything, zoned)) {
      const { metadata } = object;
      assert.equal(metadata.namespace, 'shop');
      const [reference] = metadata.ownerReferences ?? [];
      assert.equal(reference?.uid, owner.uid);
      assert.equal(reference.controller, true);
      for (const [key, value] of Object.entries(clusterLabels(owner))) {
        assert.equal(metadata.labels?.[key], value, `${object.kind} ${key}`);
      }
      assert.equal(metadata.annotations?.[annotations.applied], appliedHash(object));
    }
  });

  it('are the same objects for the same values', () => {
    assert.deepEqual(render(everything, zoned), render(structuredClone(everything), zoned));
  });

  it('are told apart by their hash when anything in them changes', () => {
    const hash = (spec: SierraClusterSpec, kind: 'ConfigMap' | 'NetworkPolicy'): string =>
      appliedOf(find(render(spec), kind));
    assert.notEqual(hash({ config: { 'log.level': 'warn' } }, 'ConfigMap'), hash({}, 'ConfigMap'));
    assert.equal(
      hash({ config: { 'log.level': 'warn' } }, 'NetworkPolicy'),
      hash({}, 'NetworkPolicy'),
    );
  });

  it('that are switched off are to be deleted', () => {
    const off = settle({
      networkPolicy: { enabled: false },
      disruption: { podDisruptionBudget: false },
      monitoring: { podMonitor: 'Disabled' },
    });
    const state = { replicas: new Map<string, number>(), podMonitors: true };
    const kinds = childrenOf(owner, off, state).map(({ object }) => object.kind);
    const unwanted = unwantedChildren(owner, off, state);
    assert.deepEqual(
      unwanted.map(({ type, name }) => [type.kind, name]),
      ['NetworkPolicy', 'PodDisruptionBudget', 'PodMonitor'].map((kind) => [
        kind,
        { namespace: 'shop', name: 'orders' },
      ]),
    );
    for (const { type } of unwanted) assert.ok(!kinds.includes(type.kind));
    // Where there are no PodMonitors, none is to be deleted.
    assert.equal(unwantedChildren(owner, off, { podMonitors: false }).length, 2);
    assert.deepEqual(unwantedChildren(owner, settle({}), state), []);
  });

  it('have the secret among them only when it is given', () => {
    assert.ok(!render({}).some(({ kind }) => kind === 'Secret'));
    const { data } = find(render({}, { secret: 'abc' }), 'Secret');
    assert.equal(Buffer.from(data['secret'] ?? '', 'base64').toString(), 'abc');
  });
});
