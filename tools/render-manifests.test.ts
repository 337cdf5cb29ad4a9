/** manifests/ beside the charts. What needs helm is skipped where there is none. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAll } from 'js-yaml';

import { labels } from '../operator/src/resources/names.ts';
import { helmProgram, installFile, renderInstall } from './render-manifests.ts';

const charts = join(import.meta.dirname, '..', 'charts');
const helm = helmProgram();
const skip = helm === null ? 'there is no helm' : false;

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly {
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

const objectsOf = (yaml: string): Manifest[] =>
  (loadAll(yaml) as (Manifest | null)[]).filter((object) => object !== null);

const template = (chart: string, ...options: string[]): string =>
  execFileSync(helm ?? '', ['template', 'x', join(charts, chart), '--namespace', 'y', ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

describe('manifests/install.yaml', () => {
  it('is what the chart renders', { skip }, () => {
    const now = readFileSync(installFile, 'utf8');
    assert.equal(now, renderInstall(helm ?? ''), 'run `node tools/render-manifests.ts`');
  });

  it('has everything that an operator needs, once', () => {
    const objects = objectsOf(readFileSync(installFile, 'utf8'));
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    assert.equal(new Set(names).size, names.length);
    for (const kind of ['Namespace', 'CustomResourceDefinition', 'Deployment', 'ClusterRole']) {
      assert.ok(
        objects.some((object) => object.kind === kind),
        kind,
      );
    }
    assert.ok(readFileSync(installFile).length < 200_000);
  });
});

describe('the chart of the operator', { skip }, () => {
  const rulesOf = (objects: readonly Manifest[], kind: string): string[] =>
    objects
      .filter((object) => object.kind === kind)
      .flatMap(({ rules = [] }) => rules)
      .flatMap(({ resources, verbs }) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}`)),
      );

  it('never lets the operator list secrets, nor anything be done to everything', () => {
    const rules = rulesOf(objectsOf(template('sierradb-operator')), 'ClusterRole');
    assert.ok(rules.includes('get secrets'));
    assert.ok(!rules.includes('list secrets') && !rules.includes('watch secrets'));
    assert.deepEqual(
      rules.filter((rule) => rule.includes('*')),
      [],
    );
  });

  it('gives rights in the named namespaces only', () => {
    const objects = objectsOf(
      template('sierradb-operator', '--set', 'watchNamespaces={shop,bank},rbac.aggregate=false'),
    );
    const everywhere = rulesOf(objects, 'ClusterRole');
    assert.deepEqual(everywhere, [
      ...['get nodes', 'list nodes', 'watch nodes'],
      ...['get storageclasses', 'list storageclasses', 'get customresourcedefinitions'],
    ]);
    const namespaces = objects
      .filter(({ kind }) => kind === 'Role')
      .map(({ metadata }) => metadata.namespace);
    assert.deepEqual(namespaces.toSorted(), ['bank', 'shop', 'y']);
  });

  it('labels its pods as the storage pods’ network policies expect it', () => {
    const objects = objectsOf(template('sierradb-operator', '--set', 'fullnameOverride=other'));
    const deployment = objects.find(({ kind }) => kind === 'Deployment');
    assert.partialDeepStrictEqual(deployment, {
      metadata: { name: 'other' },
      spec: { template: { metadata: { labels: { [labels.name]: 'sierradb-operator' } } } },
    });
  });

  it('keeps the resource definition, or leaves it out', () => {
    const definitions = (...options: string[]): Manifest[] =>
      objectsOf(template('sierradb-operator', ...options)).filter(
        ({ kind }) => kind === 'CustomResourceDefinition',
      );
    assert.partialDeepStrictEqual(definitions()[0], {
      metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } },
    });
    assert.deepEqual(definitions('--set', 'crds.create=false'), []);
  });

  it('renders with everything switched on', () => {
    const monitoring = ['podMonitor', 'prometheusRule', 'dashboard'];
    const on = ['networkPolicy', 'podDisruptionBudget'].concat(
      monitoring.map((name) => `monitoring.${name}`),
    );
    const options = on.flatMap((name) => ['--set', `${name}.enabled=true`]);
    const kinds = objectsOf(template('sierradb-operator', ...options)).map(({ kind }) => kind);
    for (const kind of [
      'NetworkPolicy',
      'PodDisruptionBudget',
      'PodMonitor',
      'PrometheusRule',
      'ConfigMap',
    ]) {
      assert.ok(kinds.includes(kind), kind);
    }
  });
});

describe('the chart of a cluster', { skip }, () => {
  it('passes the spec on as it is', () => {
    const objects = objectsOf(
      template('sierradb-cluster', '--set', 'name=orders,spec.zones={a,b},spec.nodes=4'),
    );
    assert.partialDeepStrictEqual(
      objects.find(({ kind }) => kind === 'SierraCluster'),
      { metadata: { name: 'orders', namespace: 'y' }, spec: { nodes: 4, zones: ['a', 'b'] } },
    );
  });
});
