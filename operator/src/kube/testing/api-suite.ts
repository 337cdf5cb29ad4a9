/** What the operator relies on of an API server. The fake one passes it always, a real one where there is one. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { KubeClient, type WatchEvent } from '../client.ts';
import type { KubeConnection } from '../connection.ts';
import { EventRecorder } from '../event-recorder.ts';
import { LeaderElection, type Lease } from '../leader-election.ts';
import { Reflector } from '../reflector.ts';
import { configMaps, events, leases, pods, statefulSets } from '../resources.ts';
import { KubeError, type KubeObject, type ResourceType } from '../types.ts';

export interface ApiUnderTest {
  readonly connection: KubeConnection;
  /** Nothing else is in it. */
  readonly namespace: string;
  /** Makes version 1 too old for a watch of samples. */
  forget(): void;
  close(): Promise<void>;
}

/** A custom resource with a status; its spec takes any field. */
export const samples: ResourceType = {
  ...{ group: 'suite.sierradb.io', version: 'v1', plural: 'samples', kind: 'Sample' },
};

export interface Sample extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface StatefulSet extends KubeObject {
  readonly spec: {
    readonly template: { readonly spec: { readonly containers: readonly Container[] } };
  };
}

interface Container {
  readonly name: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[];
}

export function apiSuite(name: string, open: () => Promise<ApiUnderTest>): void {
  describe(name, () => {
    let server: ApiUnderTest;
    let client: KubeClient;
    let count = 0;

    before(async () => {
      server = await open();
      client = new KubeClient(server.connection, { pageSize: 2 });
    });

    after(async () => {
      await client.close();
      await server.close();
    });

    /** Metadata of an object that no other test uses. */
    const fresh = (): { name: string; namespace: string } => {
      count += 1;
      return { name: `object-${count}`, namespace: server.namespace };
    };
    const configMap = (more: Partial<ConfigMap['metadata']> = {}, data = {}): ConfigMap => ({
      ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...fresh(), ...more }, data },
    });
    const sample = (spec: Sample['spec'] = {}): Sample => ({
      ...{ apiVersion: 'suite.sierradb.io/v1', kind: 'Sample', metadata: fresh(), spec },
    });

    describe('reads', () => {
      it('answer null for what is not there', async () => {
        assert.equal(await client.get(configMaps, fresh()), null);
      });

      it('give kind and version, and no managedFields', async () => {
        const made = await client.create(configMaps, configMap({ labels: { suite: 'reads' } }));
        assert.equal(await client.get(configMaps, made.metadata).then((it) => it?.kind), made.kind);
        const [listed] = await client.list<ConfigMap>(configMaps, {
          ...{ namespace: server.namespace, labelSelector: 'suite=reads' },
        });
        assert.deepEqual(listed, made);
        assert.ok(!('managedFields' in made.metadata));
        assert.equal(made.apiVersion, 'v1');
      });

      it('keep fields that nobody knows', async () => {
        const made = await client.create(samples, sample({ deep: { unknown: [1, { x: null }] } }));
        const read = await client.get<Sample>(samples, made.metadata);
        assert.deepEqual(read?.spec, { deep: { unknown: [1, { x: null }] } });
      });

      it('list all pages, of one moment', async () => {
        const names = [1, 2, 3, 4, 5].map((n) => `paged-${n}`);
        for (const paged of names) {
          await client.create(configMaps, configMap({ name: paged, labels: { suite: 'paged' } }));
        }
        const { items, resourceVersion } = await client.listed(configMaps, {
          ...{ namespace: server.namespace, labelSelector: 'suite=paged' },
        });
        assert.deepEqual(
          items.map(({ metadata }) => metadata.name),
          names,
        );
        assert.ok(items.every(({ kind }) => kind === 'ConfigMap'));
        assert.match(resourceVersion, /^\d+$/);
      });

      it('find out what the server has', async () => {
        assert.equal(await client.serves(pods), true);
        assert.equal(await client.serves(statefulSets), true);
        assert.equal(await client.serves(samples), true);
        assert.equal(await client.serves({ ...samples, plural: 'others' }), false);
        assert.equal(await client.serves({ ...samples, group: 'nobody.example' }), false);
      });
    });

    describe('create', () => {
      it('refuses a name that is taken', async () => {
        const made = await client.create(configMaps, configMap());
        await assert.rejects(
          client.create(configMaps, configMap({ name: made.metadata.name })),
          refusal(409, 'AlreadyExists'),
        );
      });

      it('gives what only the server knows', async () => {
        const { metadata } = await client.create(samples, sample());
        assert.match(metadata.uid ?? '', /^[0-9a-f-]{36}$/);
        assert.match(metadata.creationTimestamp ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        assert.equal(metadata.generation, 1);
      });
    });

    describe('compare-and-set', () => {
      it('of a status leaves the spec alone, and refuses an old version', async () => {
        const made = await client.create(samples, sample({ size: 1 }));
        const next = { ...made, spec: { size: 9 }, status: { ready: 1 } };
        const set = await client.replaceStatus<Sample>(samples, next);
        assert.deepEqual([set.spec, set.status], [{ size: 1 }, { ready: 1 }]);
        assert.equal(set.metadata.generation, 1);
        await assert.rejects(
          client.replaceStatus<Sample>(samples, { ...next, status: { ready: 2 } }),
          refusal(409, 'Conflict'),
        );
      });

      it('of an object leaves the status alone, and refuses an old version', async () => {
        const made = await client.create(samples, sample({ size: 1 }));
        await client.replaceStatus<Sample>(samples, { ...made, status: { ready: 1 } });
        await assert.rejects(client.replace(samples, made), refusal(409, 'Conflict'));
        const read = await client.get<Sample>(samples, made.metadata);
        const set = await client.replace<Sample>(samples, {
          ...{ ...read!, spec: { size: 2 }, status: { ready: 9 } },
        });
        assert.deepEqual([set.spec, set.status], [{ size: 2 }, { ready: 1 }]);
        assert.equal(set.metadata.generation, 2);
      });

      it('that changes nothing makes no new version', async () => {
        const made = await client.create(samples, sample({ size: 1 }));
        const set = await client.replaceStatus<Sample>(samples, { ...made, status: { ready: 1 } });
        const again = await client.replaceStatus<Sample>(samples, set);
        assert.equal(again.metadata.resourceVersion, set.metadata.resourceVersion);
      });

      it('does not make what is gone', async () => {
        const made = await client.create(samples, sample());
        await client.delete(samples, made.metadata);
        await assert.rejects(client.replaceStatus(samples, made), refusal(404, 'NotFound'));
      });
    });

    describe('merge patch', () => {
      it('changes what it names, and not the status', async () => {
        const made = await client.create(samples, sample({ keep: 1, drop: 2, nested: { a: 1 } }));
        const patch = { spec: { drop: null, nested: { b: 2 } }, status: { ready: 1 } };
        const patched = await client.patch<Sample>(samples, made.metadata, patch);
        assert.deepEqual(patched.spec, { keep: 1, nested: { a: 1, b: 2 } });
        assert.equal(patched.status, undefined);
        assert.equal(patched.metadata.generation, 2);
      });
    });

    describe('apply', () => {
      it('creates, and changes nothing when it is repeated', async () => {
        const intent = configMap({}, { a: '1' });
        const made = await client.apply<ConfigMap>(configMaps, intent);
        assert.deepEqual(made.data, { a: '1' });
        const again = await client.apply<ConfigMap>(configMaps, intent);
        assert.equal(again.metadata.resourceVersion, made.metadata.resourceVersion);
      });

      it('removes what is not wanted any more, and leaves what others wrote', async () => {
        const intent = configMap({ labels: { mine: 'yes' } }, { a: '1', b: '2' });
        await client.apply(configMaps, intent);
        await client.patch(configMaps, intent.metadata, { data: { theirs: '3' } });
        const applied = await client.apply<ConfigMap>(configMaps, {
          ...{ ...intent, metadata: { ...intent.metadata, labels: {} }, data: { a: '1' } },
        });
        assert.deepEqual(applied.data, { a: '1', theirs: '3' });
        assert.equal(applied.metadata.labels, undefined);
      });

      it('takes back what others changed', async () => {
        const intent = configMap({}, { a: '1' });
        await client.apply(configMaps, intent);
        await client.patch(configMaps, intent.metadata, { data: { a: 'theirs' } });
        const applied = await client.apply<ConfigMap>(configMaps, intent);
        assert.deepEqual(applied.data, { a: '1' });
      });

      it('knows containers and variables by their names', async () => {
        const metadata = fresh();
        await client.apply(statefulSets, statefulSet(metadata, { one: '1', two: '2' }));
        const extra = statefulSet(metadata, { two: '2', three: '3' });
        const applied = await client.apply<StatefulSet>(statefulSets, extra);
        const [container, ...rest] = applied.spec.template.spec.containers;
        assert.deepEqual(rest, []);
        const env = (container?.env ?? []).map(({ name, value }) => `${name}=${value}`);
        assert.deepEqual(env.sort(), ['three=3', 'two=2']);
      });

      it('is refused where a field may not change', async () => {
        const metadata = fresh();
        await client.apply(statefulSets, statefulSet(metadata, {}));
        const { spec, ...rest } = statefulSet(metadata, {});
        const other = { ...rest, spec: { ...spec, serviceName: 'another' } } as KubeObject;
        await assert.rejects(client.apply(statefulSets, other), refusal(422, 'Invalid'));
      });
    });

    describe('delete', () => {
      it('tells whether there was something', async () => {
        const made = await client.create(configMaps, configMap());
        assert.equal(await client.delete(configMaps, made.metadata), true);
        assert.equal(await client.delete(configMaps, made.metadata), false);
      });

      it('spares another object of the name, and a newer version', async () => {
        const made = await client.create(configMaps, configMap());
        const { uid, resourceVersion } = made.metadata;
        await client.patch(configMaps, made.metadata, { data: { x: '1' } });
        const other = '00000000-0000-4000-8000-000000000000';
        for (const options of [{ uid: other }, { resourceVersion: resourceVersion! }]) {
          await assert.rejects(
            client.delete(configMaps, made.metadata, options),
            refusal(409, 'Conflict'),
          );
        }
        assert.equal(await client.delete(configMaps, made.metadata, { uid: uid! }), true);
      });

      it('takes along what only it owned', async () => {
        const owner = await client.create(configMaps, configMap());
        const { name, uid } = owner.metadata;
        const reference = { apiVersion: 'v1', kind: 'ConfigMap', name, uid: uid! };
        const owned = await client.create(configMaps, configMap({ ownerReferences: [reference] }));
        const gone = eventsOf(client, owned, (seen) => seen.at(-1)?.type === 'DELETED');
        await client.delete(configMaps, owner.metadata);
        await gone;
        assert.equal(await client.get(configMaps, owned.metadata), null);
      });

      it('waits for finalizers', async () => {
        const made = await client.create(configMaps, configMap({ finalizers: ['suite.io/held'] }));
        assert.equal(await client.delete(configMaps, made.metadata), true);
        const held = await client.get(configMaps, made.metadata);
        assert.ok(held?.metadata.deletionTimestamp !== undefined);
        await client.patch(configMaps, made.metadata, { metadata: { finalizers: null } });
        assert.equal(await client.get(configMaps, made.metadata), null);
      });
    });

    describe('evict', () => {
      it('deletes a pod, and another one of the name is spared', async () => {
        const pod = await client.create(pods, podFor(fresh()));
        const other = { uid: '00000000-0000-4000-8000-000000000000' };
        await assert.rejects(client.evict(pod.metadata, other), refusal(409, 'Conflict'));
        assert.equal(await client.evict(pod.metadata, { uid: pod.metadata.uid! }), true);
        assert.equal(await client.get(pods, pod.metadata), null);
        await assert.rejects(client.evict(pod.metadata), refusal(404, 'NotFound'));
      });
    });

    describe('watch', () => {
      it('tells what happened after a version, in order', async () => {
        const first = await client.create(configMaps, configMap());
        await client.patch(configMaps, first.metadata, { data: { x: '1' } });
        await client.delete(configMaps, first.metadata);
        const seen = await eventsOf(client, first, (told) => told.length === 2);
        assert.deepEqual(
          seen.map(({ type, object }) => `${type} ${object.kind}`),
          ['MODIFIED ConfigMap', 'DELETED ConfigMap'],
        );
        assert.ok(seen.every(({ object }) => !('managedFields' in object.metadata)));
      });

      it('tells of an object that its selector does not choose any more as deleted', async () => {
        const labelled = await client.create(
          configMaps,
          configMap({ labels: { suite: 'chosen' } }),
        );
        await client.patch(configMaps, labelled.metadata, {
          metadata: { labels: { suite: null } },
        });
        await client.patch(configMaps, labelled.metadata, {
          metadata: { labels: { suite: 'chosen' } },
        });
        const seen = await eventsOf(client, labelled, (told) => told.length === 2, {
          labelSelector: 'suite=chosen',
        });
        assert.deepEqual(
          seen.map(({ type }) => type),
          ['DELETED', 'ADDED'],
        );
      });

      it('ends after its time', async () => {
        const { resourceVersion } = await client.listed(configMaps, {
          namespace: server.namespace,
        });
        const watch = client.watch(configMaps, {
          ...{ namespace: server.namespace, resourceVersion, timeoutSeconds: 1 },
          signal: AbortSignal.timeout(60_000),
        });
        for await (const { type } of watch) assert.equal(type, 'BOOKMARK');
      });

      it('says when a version is too old', async () => {
        await client.create(samples, sample());
        server.forget();
        await assert.rejects(
          async () => {
            for await (const _event of client.watch(samples, {
              ...{ namespace: server.namespace, resourceVersion: '1', timeoutSeconds: 60 },
              signal: AbortSignal.timeout(60_000),
            }));
          },
          refusal(410, 'Expired'),
        );
      });
    });

    it('an election makes one leader, and the next one when it goes', async () => {
      const place = fresh();
      const led: string[] = [];
      const stops = ['a', 'b'].map((identity) => {
        const election = new LeaderElection(client, { ...place, identity, retryPeriodMs: 50 });
        const stop = new AbortController();
        const leading = Promise.withResolvers<void>();
        const onLeading = (): void => {
          led.push(identity);
          election.assertLeader();
          leading.resolve();
        };
        return { identity, leading, stop, run: election.run(stop.signal, { onLeading }) };
      });
      await Promise.race(stops.map(({ leading }) => leading.promise));
      const first = stops.find(({ identity }) => identity === led[0]);
      const second = stops.find(({ identity }) => identity !== led[0]);
      first?.stop.abort();
      await first?.run;
      await second?.leading.promise;
      assert.equal(led.length, 2);
      const lease = await client.get<Lease>(leases, place);
      assert.equal(lease?.spec?.holderIdentity, led[1]);
      second?.stop.abort();
      await second?.run;
    });

    it('a recorder leaves events with the object', async () => {
      const made = await client.create(configMaps, configMap());
      const options = { controller: 'sierradb.io/suite', identity: 'suite-1' };
      const warnings: object[] = [];
      const recorder = new EventRecorder(client, {
        ...{ ...options, log: { warn: (facts) => warnings.push(facts) } },
      });
      const message = 'é'.repeat(1000);
      recorder.emit(made, { type: 'Normal', reason: 'Tested', message, action: 'Test' });
      await recorder.settled();
      assert.deepEqual(warnings, []);
      const fieldSelector = 'reason=Tested';
      const place = { namespace: server.namespace, fieldSelector };
      const [event] = await client.list<KubeObject & { regarding: { uid: string } }>(events, place);
      assert.equal(event?.regarding.uid, made.metadata.uid);
    });

    it('a reflector follows what happens', async () => {
      const stop = new AbortController();
      const labels = { suite: 'reflected' };
      await client.create(configMaps, configMap({ labels }));
      const [patched, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const told: string[] = [];
      const reflector = new Reflector<ConfigMap>(client, {
        ...{ type: configMaps, namespace: server.namespace, labelSelector: 'suite=reflected' },
        changed: ({ data }, isDeleted) => {
          told.push(isDeleted ? 'gone' : (data?.['x'] ?? 'new'));
          if (isDeleted) gone.resolve();
          else if (data?.['x'] === '1') patched.resolve();
        },
      });
      const running = reflector.run(stop.signal);
      await reflector.synced;
      const made = await client.create(configMaps, configMap({ labels }));
      await client.patch(configMaps, made.metadata, { data: { x: '1' } });
      await patched.promise;
      await client.delete(configMaps, made.metadata);
      await gone.promise;
      stop.abort();
      await running;
      assert.deepEqual(told, ['new', 'new', '1', 'gone']);
      assert.equal(reflector.size, 1);
    });
  });
}

export function refusal(code: number, reason: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KubeError, String(error));
    assert.deepEqual([error.code, error.reason], [code, reason], error.message);
    return true;
  };
}

/** What happens to one config map after the version that `since` has, until `isEnough`. */
async function eventsOf(
  client: KubeClient,
  since: ConfigMap,
  isEnough: (seen: readonly Exclude<WatchEvent<ConfigMap>, { type: 'BOOKMARK' }>[]) => boolean,
  selector: { readonly labelSelector?: string } = {},
): Promise<Exclude<WatchEvent<ConfigMap>, { type: 'BOOKMARK' }>[]> {
  const { name, namespace, resourceVersion } = since.metadata;
  const seen: Exclude<WatchEvent<ConfigMap>, { type: 'BOOKMARK' }>[] = [];
  const watch = client.watch<ConfigMap>(configMaps, {
    ...selector,
    ...{ namespace: namespace!, resourceVersion: resourceVersion!, timeoutSeconds: 60 },
    signal: AbortSignal.timeout(60_000),
  });
  for await (const event of watch) {
    if (event.type === 'BOOKMARK' || event.object.metadata.name !== name) continue;
    seen.push(event);
    if (isEnough(seen)) break;
  }
  return seen;
}

/** Without pods, and with a container whose variables are `env`. */
function statefulSet(metadata: KubeObject['metadata'], env: Record<string, string>): StatefulSet {
  const labels = { app: metadata.name };
  const variables = Object.entries(env).map(([name, value]) => ({ name, value }));
  const containers = [{ name: 'main', image: 'none.invalid/none:1', env: variables }];
  const spec = {
    ...{ replicas: 0, serviceName: 'none', selector: { matchLabels: labels } },
    template: { metadata: { labels }, spec: { containers } },
  };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec };
}

/** One that no node takes. */
function podFor(metadata: KubeObject['metadata']): KubeObject {
  const spec = {
    nodeSelector: { 'suite.sierradb.io/none': 'none' },
    containers: [{ name: 'main', image: 'none.invalid/none:1' }],
  };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec } as KubeObject;
}
