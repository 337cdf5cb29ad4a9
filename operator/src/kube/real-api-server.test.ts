/**
 * The suite of the fake API server against a real one. It makes a namespace and a definition of a resource there, so it runs only
 * where that was asked for: KUBECONFIG=… KUBE_API_TEST=1.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeClient } from './client.ts';
import { loadConnection } from './connection.ts';
import { serviceAccounts } from './resources.ts';
import { apiSuite, samples, type ApiUnderTest } from './testing/api-suite.ts';
import type { KubeObject, ResourceType } from './types.ts';

const isAsked = process.env['KUBE_API_TEST'] === '1' && (process.env['KUBECONFIG'] ?? '') !== '';

const namespaces: ResourceType = {
  ...{ group: '', version: 'v1', plural: 'namespaces', kind: 'Namespace', isClusterScoped: true },
};
const definitions: ResourceType = {
  ...{ group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions' },
  ...{ kind: 'CustomResourceDefinition', isClusterScoped: true },
};

function sampleDefinition(): KubeObject {
  const { group, version, plural, kind } = samples;
  const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const schema = {
    openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } },
  };
  const spec = {
    ...{ group, scope: 'Namespaced', names: { plural, kind, singular: 'sample' } },
    versions: [
      { name: version, served: true, storage: true, schema, subresources: { status: {} } },
    ],
  };
  const metadata = { name: `${plural}.${group}` };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: definitions.kind,
    metadata,
    spec,
  } as KubeObject;
}

/** The server has no event for a resource that begins to be served, and few for what its controllers make. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let left = 300; !(await isSo()); left -= 1) {
    assert.ok(left > 0, 'the server does not get ready');
    await delay(100);
  }
}

async function open(): Promise<ApiUnderTest> {
  const connection = await loadConnection();
  const client = new KubeClient(connection);
  const namespace = `suite-${randomBytes(4).toString('hex')}`;
  await client.create(namespaces, {
    ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  });
  await client.apply(definitions, sampleDefinition());
  await until(() =>
    client.list(samples, { namespace }).then(
      () => true,
      () => false,
    ),
  );
  // No pod is let in before it is there.
  await until(
    async () => (await client.get(serviceAccounts, { namespace, name: 'default' })) !== null,
  );
  return {
    ...{ connection, namespace, forget: (): void => undefined },
    close: async () => {
      await client.delete(definitions, sampleDefinition().metadata);
      await client.delete(namespaces, { name: namespace });
      await client.close();
    },
  };
}

if (isAsked) apiSuite('a real API server', open);
else it('a real API server', { skip: 'KUBECONFIG and KUBE_API_TEST=1 ask for it' });
