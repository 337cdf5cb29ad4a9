/** What `cluster add`, `remove` and `replace` ask of members, and what they refuse. Whole: `e2e/process/membership.test.ts`. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';

import { type Assignment, firstAssignment, type Member } from '../common/assignment.ts';
import { withoutMember, withReplacement } from '../common/assignment-changes.ts';
import type { AssignmentUpdate, NodeStatus } from '../common/cluster-contract.ts';
import { run } from './testing/run.ts';

/** Members that carry out at once what they are given. */
class FakeMembers implements AsyncDisposable {
  assignment: Assignment;
  readonly #servers: readonly Server[];
  readonly #addresses: readonly string[];
  /** Member ids by place; null: nobody answers there. */
  readonly #disks: (string | null)[];

  /** The first three are the cluster. */
  static async start(disks: readonly (string | null)[]): Promise<FakeMembers> {
    const servers = disks.map(() => createServer());
    await Promise.all(
      servers.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))),
    );
    return new FakeMembers(servers, disks);
  }

  private constructor(servers: readonly Server[], disks: readonly (string | null)[]) {
    this.#servers = servers;
    this.#disks = [...disks];
    this.#addresses = servers.map((server) => {
      const { port } = server.address() as AddressInfo;
      return `127.0.0.1:${port}`;
    });
    const counts = { bucketCount: 2, partitionCount: 8, factor: 3 };
    this.assignment = firstAssignment(
      'c',
      counts,
      [0, 1, 2].map((place) => this.member(place)),
    );
    servers.forEach((server, place) => {
      server.on('request', (request, response) => {
        const id = this.#disks[place] ?? null;
        if (id === null) {
          request.socket.destroy();
          return;
        }
        if (request.method === 'GET') {
          const isStatus = request.url === '/v1/status';
          response.end(JSON.stringify(isStatus ? this.#status(id, place) : this.assignment));
          return;
        }
        let body = '';
        request.on('data', (piece: Buffer) => (body += piece.toString()));
        request.on('end', () => {
          const update = JSON.parse(body) as AssignmentUpdate;
          assert.equal(update.replaces, this.assignment.version);
          this.assignment = update.assignment;
          response.writeHead(204).end();
        });
      });
    });
  }

  address(place: number): string {
    return this.#addresses[place] ?? '';
  }

  member(place: number, id = `m${place}`, index = place): Member {
    return { id, index, address: this.address(place) };
  }

  /** Holders of the first bucket, and who is a member. */
  get said(): [string[], string[]] {
    const { buckets, members } = this.assignment;
    return [buckets[0]?.replicas.map((each) => each.member) ?? [], members.map(({ id }) => id)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
      }),
    );
  }

  #status(member: string, place: number): Partial<NodeStatus> {
    const known = this.assignment.members.find(({ id }) => id === member);
    const leads = known !== undefined;
    const buckets = this.assignment.buckets.flatMap(({ preferred, replicas }, bucket) =>
      leads && preferred === member
        ? [{ bucket, role: 'leader', learners: [], voters: replicas.map((it) => it.member) }]
        : [],
    );
    const index = known?.index ?? Number(/\d/.exec(member)?.[0] ?? place);
    const cluster = known === undefined ? null : 'c';
    return { member, index, cluster, buckets: buckets as unknown as NodeStatus['buckets'] };
  }
}

describe('a replacement', () => {
  it('that is lost before it has taken over is replaced by the same command', async () => {
    await using members = await FakeMembers.start(['m0', 'x1', 'm2', 'y1']);
    members.assignment = withReplacement(members.assignment, members.member(1, 'w1', 1));
    const { code, stdout, stderr } = await run([
      ...['cluster', 'replace', '1', '--address', members.address(0), '--wait', '5'],
    ]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /members m1 and w1 have left and may be stopped/);
    assert.deepEqual(members.said, [
      ['m0', 'x1', 'm2'],
      ['m0', 'm2', 'x1'],
    ]);
  });

  it('that is away is waited for', async () => {
    await using members = await FakeMembers.start(['m0', null, 'm2']);
    members.assignment = withReplacement(members.assignment, members.member(1, 'w1', 1));
    const { version } = members.assignment;
    const words = ['cluster', 'replace', '1', '--address', members.address(0), '--wait', '0'];
    const { code, stderr } = await run(words);
    assert.equal(code, 1);
    assert.match(stderr, /1 buckets still move/);
    assert.equal(members.assignment.version, version);
  });

  it('comes to its end before its node is removed', async () => {
    await using members = await FakeMembers.start(['m0', 'w1', 'm2']);
    members.assignment = withReplacement(members.assignment, members.member(1, 'w1', 1));
    const { version } = members.assignment;
    const words = ['cluster', 'remove', '1', '--address', members.address(0)];
    const { code, stderr } = await run(words);
    assert.equal(code, 2);
    assert.match(stderr, /node 1 is being replaced/);
    assert.equal(members.assignment.version, version);
  });
});

describe('a removal', () => {
  it('that was interrupted goes on', async () => {
    await using members = await FakeMembers.start(['m0', 'm1', 'm2']);
    members.assignment = withoutMember(members.assignment, 1);
    const words = ['cluster', 'remove', '1', '--address', members.address(0), '--wait', '5'];
    const { code, stdout } = await run(words);
    assert.equal(code, 0);
    assert.match(stdout, /member m1 has left and may be stopped/);
    assert.deepEqual(members.said[1], ['m0', 'm2']);
  });
});

describe('a new member', () => {
  it('is not the other disk that was there before', async () => {
    await using members = await FakeMembers.start(['m0', 'm1', 'x2']);
    const words = ['cluster', 'add', members.address(2), '--address', members.address(0)];
    const { code, stderr } = await run(words);
    assert.equal(code, 2);
    assert.match(stderr, /is node 2 of the cluster, and has lost its disk: replace it/);
    assert.equal(members.assignment.version, 1);
  });

  it('waits for buckets that have not begun', async () => {
    await using members = await FakeMembers.start(['m0', null, 'm2', 'x3']);
    const words = ['cluster', 'add', members.address(3), '--address', members.address(0)];
    const { code, stderr } = await run(words);
    assert.equal(code, 2);
    assert.match(stderr, /bucket 1 has had no leader yet; wait until all nodes run/);
    assert.equal(members.assignment.version, 1);
  });

  it('finds a lone one where it was asked', async () => {
    await using members = await FakeMembers.start(['m0', 'm1', 'm2']);
    const [own] = members.assignment.members as [Member];
    const lone = firstAssignment('c', { bucketCount: 2, partitionCount: 8, factor: 1 }, [
      { ...own, address: '127.0.0.1:1' },
    ]);
    members.assignment = lone;
    const words = ['cluster', 'add', members.address(1), '--address', members.address(0)];
    const { code, stderr } = await run([...words, '--wait', '5']);
    assert.deepEqual([code, stderr], [0, '']);
    assert.equal(members.assignment.members[0]?.address, members.address(0));
    assert.deepEqual(members.said, [
      ['m0', 'm1'],
      ['m0', 'm1'],
    ]);
  });
});
