/** More of `faults.ts`: agreement with a leader, copies and healing of logs, what messages carry. */
import type { PlantedFault } from './faults.ts';

const walk = { suite: 'node/src/replication/raft/walk.test.ts' };
const conversation = { suite: 'node/src/replication/raft/conversation.test.ts' };

export const replicationFaults: readonly PlantedFault[] = [
  {
    name: 'what was agreed with a leader outlives its term',
    file: 'node/src/replication/raft/core.ts',
    find: 'if (isNews || isNewTerm) this.#agreed',
    replace: 'if (isNews) this.#agreed',
    ...conversation,
  },
  {
    name: 'a copy from a later leader counts for this one’s entries',
    file: 'node/src/replication/raft/leadership.ts',
    find: 'Math.min(index, this.#context.commit)',
    replace: 'index',
    ...walk,
    tests: 'a copy from a later leader',
  },
  {
    name: 'a copy that the disk did not take is reported',
    file: 'node/src/replication/log-copy.ts',
    find: 'the disk did not take is not durable.\n    this.#refuseStopped();',
    replace: '',
    suite: 'node/src/replication/log-copies.test.ts',
  },
  {
    name: 'frames are taken as they arrive',
    file: 'node/src/replication/raft-group.ts',
    find: 'if (!areWhole(received)) return;',
    replace: '',
    suite: 'node/src/replication/raft-group.test.ts',
  },
  {
    name: 'a host that became unreachable has done nothing',
    file: 'node/src/replication/peer.ts',
    find: "syscall === 'read' || syscall === 'write'",
    replace: 'syscall === null',
    suite: 'node/src/replication/peer-network.test.ts',
    tests: 'becomes unreachable',
  },
  {
    name: 'what was sent on a stream that broke was not done',
    file: 'node/src/replication/request-lane.ts',
    find: "new PeerError(failure.reason, 'unknown', failure.status)",
    replace: 'notSent(failure)',
    suite: 'node/src/replication/peer-network.test.ts',
    tests: 'a stream that breaks',
  },
  {
    name: 'a change of who sends is not told on a stream',
    file: 'node/src/replication/peer-link.ts',
    find: 'const isNews = identity !== this.#told;',
    replace: 'const isNews = false;',
    suite: 'node/src/replication/peer-network.test.ts',
    tests: 'who sends is said anew',
  },
  {
    name: 'who has opened a stream is admitted for good',
    file: 'node/src/http/member-stream.ts',
    find: 'case frameKinds.messages:\n        admission.admitAgain(this.#sender);',
    replace: 'case frameKinds.messages:',
    suite: 'node/src/http/stream-server.test.ts',
    tests: 'not admitted any more',
  },
  {
    name: 'a replacement need not end where the next segment begins',
    file: 'node/src/storage/log-healing.ts',
    find: 'behind.index !== end.index || behind.crc !== end.crc',
    replace: 'behind.index !== end.index',
    suite: 'node/src/replication/segment-healing.test.ts',
  },
  {
    name: 'a replacement need not continue the segment before it',
    file: 'node/src/storage/log-healing.ts',
    find: 'header.firstIndex !== before.index + 1 || header.previousCrc !== before.crc',
    replace: 'header.firstIndex !== before.index + 1',
    suite: 'node/src/replication/segment-healing.test.ts',
  },
  {
    name: 'a healed replica goes on with what it knew of streams',
    file: 'node/src/engine/store.ts',
    find: 'heads.forget();',
    replace: '',
    suite: 'node/src/http/healing.test.ts',
    tests: 'all segments',
  },
  {
    name: 'followers take less than leaders may have left',
    file: 'node/src/storage/uncommitted-room.ts',
    find: 'this.#bytes + bytes <= (3 * this.#journalFileBytes) / 4',
    replace: 'this.#bytes + bytes <= this.#journalFileBytes / 4',
    suite: 'node/src/replication/uncommitted-room.test.ts',
  },
];
