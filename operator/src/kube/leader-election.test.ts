import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../../../common/random.ts';
import { LeaderElection, LeaseLostError, type Lease } from './leader-election.ts';
import { ManualTimers } from './testing/manual-timers.ts';
import { KubeError, type KubeObject, type ObjectName, type ResourceType } from './types.ts';

/** One Lease, and a server that can be slow, away, or lose its answers. */
class LeaseServer {
  lease: Lease | null = null;
  fault: 'none' | 'away' | 'silent' | 'answer lost' = 'none';
  writeCount = 0;
  #version = 0;

  async get<T extends KubeObject>(
    _type: ResourceType,
    _name: ObjectName,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T | null> {
    await this.#arrive(options.signal);
    return structuredClone(this.lease) as T | null;
  }

  async create<T extends KubeObject>(
    _type: ResourceType,
    object: T,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    await this.#arrive(options.signal);
    if (this.lease !== null)
      throw new KubeError('there is one', { code: 409, reason: 'AlreadyExists' });
    return this.#store(object);
  }

  async replace<T extends KubeObject>(
    _type: ResourceType,
    object: T,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    await this.#arrive(options.signal);
    if (object.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) {
      throw new KubeError('it has changed', { code: 409, reason: 'Conflict' });
    }
    return this.#store(object);
  }

  /** Somebody changes what is no renewal. */
  annotate(): void {
    this.#version += 1;
    const metadata = { ...this.lease!.metadata, resourceVersion: String(this.#version) };
    this.lease = { ...this.lease!, metadata };
  }

  async #arrive(signal: AbortSignal | undefined): Promise<void> {
    await Promise.resolve();
    if (this.fault === 'away') throw new KubeError('refused', { code: 0 });
    if (this.fault !== 'silent') return;
    await new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new KubeError('no answer', { code: 0 })));
    });
  }

  #store<T extends KubeObject>(object: T): T {
    this.writeCount += 1;
    this.#version += 1;
    const metadata = { ...object.metadata, resourceVersion: String(this.#version) };
    const stored = { ...structuredClone(object), metadata };
    this.lease = stored;
    if (this.fault === 'answer lost') throw new KubeError('no answer', { code: 0 });
    return structuredClone(stored);
  }
}

interface Candidate {
  readonly election: LeaderElection;
  readonly stop: AbortController;
  /** `leading`, then `stopped` or `lost`; `running` before. */
  state: string;
}

describe('LeaderElection', () => {
  function candidate(server: LeaseServer, timers: ManualTimers, identity: string): Candidate {
    const election = new LeaderElection(server, {
      ...{ namespace: 'default', name: 'operator', identity, timers },
      random: seededRandom(identity.charCodeAt(0)),
      wallClock: () => Date.UTC(2026, 0, 1) + timers.now(),
    });
    const made: Candidate = { election, stop: new AbortController(), state: 'running' };
    const onLeading = (): void => {
      made.state = 'leading';
    };
    election.run(made.stop.signal, { onLeading }).then(
      () => (made.state = 'stopped'),
      (error: unknown) => (made.state = error instanceof LeaseLostError ? 'lost' : String(error)),
    );
    return made;
  }

  it('makes the lease, and renews it', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    assert.equal(a.state, 'leading');
    assert.deepEqual(server.lease?.spec, {
      ...{ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 },
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:00:00.000000Z',
    });
    await timers.advance(60_000);
    assert.deepEqual(server.lease.spec, {
      ...{ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 },
      acquireTime: '2026-01-01T00:00:00.000000Z',
      renewTime: '2026-01-01T00:01:00.000000Z',
    });
    assert.equal(server.writeCount, 31);
    assert.ok(a.election.isLeaderFor(12_000));
  });

  it('waits for a leader that renews, however it sets its clock', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    server.lease = {
      ...server.lease!,
      spec: { ...server.lease!.spec, renewTime: '1999-01-01T00:00:00.000000Z' },
    };
    const b = candidate(server, timers, 'b');
    await timers.advance(120_000);
    assert.deepEqual([a.state, b.state], ['leading', 'running']);
    assert.equal(b.election.holder, 'a');
    assert.throws(() => b.election.assertLeader(), { reason: 'NotLeader' });
  });

  it('takes over from one that is gone, after the lease as seen from here', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const spec = { holderIdentity: 'gone', leaseDurationSeconds: 15, leaseTransitions: 4 };
    await server.create({} as ResourceType, {
      ...{
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: 'operator' },
        spec,
      },
    });
    const b = candidate(server, timers, 'b');
    await timers.advance(8_000);
    // Not a renewal.
    server.annotate();
    await timers.advance(6_000);
    assert.equal(b.state, 'running');
    await timers.advance(6_000);
    assert.equal(b.state, 'leading');
    assert.equal(server.lease?.spec?.leaseTransitions, 5);
  });

  it('lets one of two have it', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const both = [candidate(server, timers, 'a'), candidate(server, timers, 'b')];
    await timers.advance(60_000);
    assert.deepEqual(both.map(({ state }) => state).sort(), ['leading', 'running']);
  });

  it('gives the lease up when it is stopped, and the next one has it soon', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    const b = candidate(server, timers, 'b');
    await timers.advance(10_000);
    a.stop.abort();
    await timers.advance(0);
    assert.equal(a.state, 'stopped');
    assert.equal(server.lease?.spec?.holderIdentity, '');
    assert.throws(() => a.election.assertLeader(), { reason: 'NotLeader' });
    await timers.advance(5_000);
    assert.equal(b.state, 'leading');
  });

  it('keeps the lease while it is stopping', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const election = new LeaderElection(server, {
      ...{ namespace: 'default', name: 'operator', identity: 'a', timers },
    });
    const [stop, drained] = [new AbortController(), Promise.withResolvers<void>()];
    const run = election.run(stop.signal, {
      onLeading: () => undefined,
      onStopping: () => drained.promise,
    });
    await timers.advance(0);
    stop.abort();
    await timers.advance(1_000);
    election.assertLeader();
    drained.resolve();
    await run;
    assert.equal(election.isLeaderFor(0), false);
    assert.equal(server.lease?.spec?.holderIdentity, '');
  });

  it('rides out a server that is away for less than the deadline', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(2_000);
    server.fault = 'away';
    await timers.advance(7_000);
    server.fault = 'none';
    await timers.advance(20_000);
    assert.equal(a.state, 'leading');
  });

  for (const fault of ['away', 'silent'] as const) {
    it(`is lost when the server is ${fault} for longer, before another may lead`, async () => {
      const [server, timers] = [new LeaseServer(), new ManualTimers()];
      const a = candidate(server, timers, 'a');
      await timers.advance(2_000);
      server.fault = fault;
      await timers.advance(9_000);
      assert.equal(a.state, 'leading');
      await timers.advance(3_000);
      assert.equal(a.state, 'lost');
      assert.throws(() => a.election.assertLeader(), { reason: 'NotLeader' });
      // Another would have to wait until 17 s from the beginning.
      assert.ok(timers.now() < 17_000);
    });
  }

  it('goes on after a renewal that took effect without an answer', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(1_000);
    server.fault = 'answer lost';
    await timers.advance(2_000);
    server.fault = 'none';
    await timers.advance(60_000);
    assert.equal(a.state, 'leading');
    assert.equal(server.lease?.spec?.leaseTransitions, 0);
  });

  it('lets no write pass that was held up, also before it has noticed', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    a.election.assertLeader();
    timers.stall(13_500);
    assert.equal(a.state, 'leading');
    assert.throws(() => a.election.assertLeader(), { code: 0, reason: 'NotLeader' });
    assert.equal(a.election.isLeaderFor(1_000), true);
  });

  it('is lost when another has taken the lease', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    server.lease = { ...server.lease!, spec: { ...server.lease!.spec, holderIdentity: 'b' } };
    server.annotate();
    await timers.advance(2_000);
    assert.equal(a.state, 'lost');
  });

  it('stops while it waits, without a write', async () => {
    const [server, timers] = [new LeaseServer(), new ManualTimers()];
    const a = candidate(server, timers, 'a');
    await timers.advance(0);
    const b = candidate(server, timers, 'b');
    await timers.advance(0);
    const { writeCount } = server;
    b.stop.abort();
    await timers.advance(0);
    assert.deepEqual([a.state, b.state], ['leading', 'stopped']);
    assert.equal(server.writeCount, writeCount);
  });
});
