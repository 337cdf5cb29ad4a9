import assert from 'node:assert/strict';
import test from 'node:test';

import { services } from '../kube/resources.ts';
import type { KubeApi, KubeObject } from '../kube/types.ts';
import { annotations } from '../resources/names.ts';
import { ChildKeeper, isWithin } from './children.ts';

test('a part says what is so in the whole', () => {
  const whole = { a: 1, b: { c: [{ d: 2, e: 3 }] }, f: 'x' };
  assert(isWithin({ b: { c: [{ d: 2 }] } }, whole));
  assert(isWithin({ g: {} }, { g: {} }));
  assert(!isWithin({ b: { c: [{ d: 4 }] } }, whole));
  assert(!isWithin({ b: { c: [] } }, whole));
  assert(!isWithin({ h: 1 }, whole));
});

interface Service extends KubeObject {
  readonly spec: { readonly port: string };
}

/** A server with one object, that writes `1000m` as `1`. */
class OneObject {
  object: Service | null = null;
  applies = 0;
  #version = 0;

  get api(): KubeApi {
    return {
      get: () => Promise.resolve(this.object),
      apply: (_type: unknown, object: Service) => {
        this.applies += 1;
        this.put(object);
        return Promise.resolve(this.object);
      },
    } as unknown as KubeApi;
  }

  put(object: Service): void {
    this.#version += 1;
    const port = object.spec.port === '1000m' ? '1' : object.spec.port;
    const metadata = { ...object.metadata, uid: 'u', resourceVersion: String(this.#version) };
    this.object = { ...object, metadata, spec: { port } };
  }
}

const service = (port: string): Service => ({
  ...{ apiVersion: 'v1', kind: 'Service' },
  metadata: {
    name: 's',
    namespace: 'n',
    annotations: { [annotations.applied]: `hash of ${port}` },
  },
  spec: { port },
});

test('a child is applied when it is missing, asked for otherwise, or was changed', async () => {
  const server = new OneObject();
  const keeper = new ChildKeeper(server.api);
  const keep = (port: string): Promise<boolean> =>
    keeper.keep({ type: services, object: service(port) });
  assert.equal(await keep('80'), true);
  assert.equal(await keep('80'), false);
  assert.equal(await keep('81'), true);
  assert.equal(await keep('81'), false);
  server.put({ ...service('81'), spec: { port: 'something else' } });
  assert.equal(await keep('81'), true);
  assert.equal(await keep('81'), false);
});

test('what the server writes in its own way is not written for ever', async () => {
  const server = new OneObject();
  const keeper = new ChildKeeper(server.api);
  const object = service('1000m');
  assert.equal(await keeper.keep({ type: services, object }), true);
  assert.equal(await keeper.keep({ type: services, object }), false);
  // An operator that has just started does not know what it has written: once more, and no more.
  const other = new ChildKeeper(server.api);
  assert.equal(await other.keep({ type: services, object }), true);
  assert.equal(await other.keep({ type: services, object }), false);
  assert.equal(server.applies, 2);
});
