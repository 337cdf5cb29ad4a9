/**
 * Mistakes that a change might make, one line each, and the suite that must notice it. `plant.ts` puts one into the
 * source as it is loaded; `e2e/planted-faults.test.ts` runs the suites. Nothing of this is in the program itself.
 */
import { identityFaults } from './identity-faults.ts';
import { moveFaults } from './move-faults.ts';
import { replicationFaults } from './replication-faults.ts';

export interface PlantedFault {
  readonly name: string;
  /** Source file, from the root of the repository. */
  readonly file: string;
  /** Text that occurs exactly once in it. */
  readonly find: string;
  readonly replace: string;
  /** Test file that must fail. */
  readonly suite: string;
  /** Where given, only tests with this name, so that others do not take time. */
  readonly tests?: string;
  /** For suites that draw: the seed that found it, and how many are tried from there on when the program has changed since. */
  readonly seed?: number;
  readonly seeds?: number;
}

const crash = { suite: 'node/src/engine/crash.test.ts' };
const model = { suite: 'node/src/engine/model.test.ts' };
const damage = { suite: 'node/src/engine/damage.test.ts' };
const faults = { suite: 'node/src/engine/faults.test.ts' };
const subscriptions = { suite: 'node/src/subscriptions/model.test.ts' };
const walk = { suite: 'node/src/replication/raft/walk.test.ts' };
const conversation = { suite: 'node/src/replication/raft/conversation.test.ts' };
const simulation = {
  suite: 'tools/simulate/simulation.test.ts',
  tests: 'loses nothing|^seed',
  seeds: 400,
};
const pushPace = { suite: 'node/src/resp/push-pace.test.ts', tests: 'loses nothing' };

export const plantedFaults: readonly PlantedFault[] = [
  {
    name: 'the journal is written and not synced',
    file: 'node/src/storage/journal.ts',
    find: 'await file.handle.writeDurably(round.buffer',
    replace: 'await file.handle.write(round.buffer',
    ...crash,
  },
  {
    name: 'an append is answered before its round is durable',
    file: 'node/src/storage/journal.ts',
    find: 'await this.#write(round);\n      this.#publish(round);',
    replace:
      'const writing = this.#write(round);\n      this.#publish(round);\n      await writing;',
    ...crash,
  },
  {
    name: 'the folder of a new segment is not synced',
    file: 'node/src/storage/young-segment.ts',
    find: 'await this.#files.syncDirectory(this.#folder);',
    replace: '',
    ...crash,
  },
  {
    name: 'the folder of a new journal file is not synced',
    file: 'node/src/storage/journal-file.ts',
    find: 'await files.rename(temporary, path);\n    await files.syncDirectory(folder);',
    replace: 'await files.rename(temporary, path);',
    ...crash,
  },
  {
    name: 'the name of the data directory is not synced',
    file: 'node/src/storage/storage.ts',
    find: 'await syncAncestors(files, this.#directory);',
    replace: '',
    ...crash,
  },
  {
    name: 'a derived file or the identity is renamed before it is synced',
    file: 'node/src/storage/file-system.ts',
    find: 'await file.sync();',
    replace: '',
    ...crash,
  },
  {
    name: 'a torn round is trusted',
    file: 'node/src/storage/journal-format.ts',
    find: 'if (crc32c(bytes.subarray(at + 8, at + length), salt) !== crc) return null;',
    replace: '',
    suite: 'node/src/storage/journal.test.ts',
  },
  {
    name: 'recovery trusts the page cache: segments are not written again',
    file: 'node/src/storage/storage.ts',
    find: "if (frames > 0) observer.recovery('replayed', { frames });\n    await Promise.all(logs.map((log) => log.settle()));",
    replace: "if (frames > 0) observer.recovery('replayed', { frames });",
    ...crash,
  },
  {
    name: 'recovery trusts the page cache: the last round is not made durable',
    file: 'node/src/storage/storage.ts',
    find: 'await secureLastRound(files, folder, scan);',
    replace: '',
    suite: 'node/src/storage/recovery.test.ts',
  },
  {
    name: 'a journal file is reused while segments lack what it holds',
    file: 'node/src/storage/journal.ts',
    find: 'return this.#ring.find((file) => file.lap === null);',
    replace:
      'return this.#ring.find((file) => file.lap === null) ?? this.#ring.find((file) => file !== this.#current);',
    ...crash,
  },
  {
    name: 'a journal file is reused before the checkpoint that frees it',
    file: 'node/src/storage/journal.ts',
    find: 'await this.#writeCheckpoint(settledLap);',
    replace: '',
    suite: 'node/src/storage/journal.test.ts',
  },
  {
    name: 'a checkpoint claims what is written, not what is synced',
    file: 'node/src/storage/bucket-log.ts',
    find: 'end: this.#writing.synced,',
    replace: 'end: this.#writing.written,',
    suite: 'node/src/storage/storage.test.ts',
  },
  {
    name: 'damage in the middle of the journal is taken for its end',
    file: 'node/src/storage/journal-scan.ts',
    find: 'if (later > last.number) {',
    replace: 'if (later < 0) {',
    suite: 'node/src/storage/journal-scan.test.ts',
  },
  {
    name: 'a journal file that was cut short is passed over',
    file: 'node/src/storage/journal-scan.ts',
    find: 'if (cut !== undefined) return',
    replace: 'if (cut === null) return',
    suite: 'node/src/storage/journal-scan.test.ts',
  },
  {
    name: 'damage in a segment is skipped without a word',
    file: 'node/src/storage/recovery.ts',
    find: 'for (const range of result.damage) noteLoss(context, found, range);',
    replace: '',
    ...damage,
  },
  {
    name: 'reads do not check the checksum of a frame',
    file: 'node/src/storage/frame-format.ts',
    find: "if (crc32c(b.subarray(at + 8, at + length)) !== frameCrc(b, at)) return 'checksum mismatch';",
    replace: '',
    ...damage,
  },
  {
    name: 'the first frame of a segment is left out of its index',
    file: 'node/src/storage/bucket-log.ts',
    find: 'this.#youngOf(committed.segment).index.add(buffer, at, committed.offset);',
    replace:
      'if (committed.offset !== this.#headerBytes) this.#youngOf(committed.segment).index.add(buffer, at, committed.offset);',
    ...model,
  },
  {
    name: 'a segment that ends is not told where',
    file: 'node/src/storage/bucket-log.ts',
    find: 'current.end = this.#end.offset;',
    replace: 'current.end = this.#end.offset - 1;',
    ...model,
  },
  {
    name: 'frames are visible before they are durable',
    file: 'node/src/replication/raft-group.ts',
    find: '    const index = this.log.finish(place, length, { ...fields, term: this.#core.term });',
    replace:
      '    const index = this.log.finish(place, length, { ...fields, term: this.#core.term });\n    queueMicrotask(() => this.log.commit(index));',
    ...crash,
  },
  {
    name: 'an answer does not wait for the frame that it tells of',
    file: 'node/src/engine/bucket-writer.ts',
    find: 'const frame = this.#frameInFlight(index);',
    replace: 'const frame = this.#frameInFlight(-index);',
    ...model,
  },
  {
    name: 'event ids that clients supplied are forgotten when a frame is applied',
    file: 'node/src/engine/frame-encoder.ts',
    find: '(isSupplied ? ID_SUPPLIED : 0)',
    replace: '0',
    ...model,
  },
  {
    name: 'a failed sync of a segment is taken for a success',
    file: 'node/src/storage/young-segment.ts',
    find: 'await (await this.#opening).sync();',
    replace: 'await (await this.#opening).sync().catch(() => undefined);',
    ...faults,
  },
  {
    name: 'appends in flight when the disk failed are called not done',
    file: 'node/src/engine/store.ts',
    find: "'QUORUMFAILED',\n      'write outcome unknown, the disk failed",
    replace: "'TRYAGAIN',\n      'write outcome unknown, the disk failed",
    ...faults,
    tests: 'is unknown',
  },
  {
    name: 'a stream is watched only some turns after its end was read',
    file: 'node/src/engine/feeds.ts',
    find: 'feed.watchers.add(watcher);\n    const opened = feed.open();\n    if (!(opened instanceof Promise)) return opened;',
    replace:
      'const opened = feed.open();\n    const watch = (turns: number): void => void (turns === 0 ? feed.watchers.add(watcher) : setImmediate(watch, turns - 1));\n    watch(4);\n    if (!(opened instanceof Promise)) return opened;',
    ...subscriptions,
  },
  {
    name: 'a window lets one event too many through',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'this.#window - this.#delivered + 1;',
    replace: 'this.#window - this.#delivered + 2;',
    ...subscriptions,
  },
  {
    name: 'an acknowledgement moves backwards',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'if (known <= this.#acknowledged) return;',
    replace: 'if (known === this.#acknowledged) return;',
    ...subscriptions,
  },
  {
    name: 'an acknowledgement runs ahead of what was delivered',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'const known = Math.min(cursor, this.#delivered - 1);',
    replace: 'const known = cursor;',
    ...subscriptions,
  },
  {
    name: 'LATEST begins one event late',
    file: 'node/src/subscriptions/subscriptions.ts',
    find: "from === 'latest' ? feed.end : from",
    replace: "from === 'latest' ? feed.end + 1 : from",
    ...subscriptions,
  },
  {
    name: 'LATEST begins with the last event that was there',
    file: 'node/src/subscriptions/subscriptions.ts',
    find: "from === 'latest' ? feed.end : from",
    replace: "from === 'latest' ? Math.max(0, feed.end - 1) : from",
    ...subscriptions,
  },
  {
    name: 'a sink that resumes wakes all who waited but the first',
    file: 'node/src/subscriptions/sink-state.ts',
    find: 'const parked = this.#parked;',
    replace: 'const parked = this.#parked.slice(1);',
    ...subscriptions,
  },
  {
    name: 'a sink that is full is given the rest of the piece',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'if (this.#isClosed || this.sink.isFull) return false;',
    replace: 'if (this.#isClosed) return false;',
    ...subscriptions,
  },
  {
    name: 'a position moves where the sink takes nothing',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'if (this.#isClosed || this.sink.isFull) return false;',
    replace:
      'if (this.#isClosed) return false;\n    if (this.sink.isFull) {\n      target.position += 1;\n      return false;\n    }',
    ...subscriptions,
  },
  {
    name: 'what is being read is delivered though the subscription was closed',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'if (this.#isClosed || this.sink.isFull) return false;',
    replace: 'if (this.sink.isFull) return false;',
    ...subscriptions,
  },
  {
    name: 'a subscription reads twice at once',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'this.#isReading = true;',
    replace: '',
    ...subscriptions,
  },
  {
    name: 'events under another partition key wake a stream and move its end',
    file: 'node/src/engine/feeds.ts',
    find: 'isKey(bytes, at + FRAME_HEADER_BYTES, feed.partitionKey);',
    replace: 'true;',
    ...subscriptions,
  },
  {
    name: 'who reads to the end of a segment does not read on',
    file: 'node/src/subscriptions/running-subscription.ts',
    find: 'if (target.isBehind && !target.isListed) this.#behind.add(target);',
    replace: '',
    ...subscriptions,
  },
  {
    name: 'a stream that is sealed while it is read is taken up one event late',
    file: 'node/src/engine/pieces.ts',
    find: 'const ordinal = from - run.firstVersion;',
    replace: 'const ordinal = from === run.firstVersion ? 0 : from - run.firstVersion + 1;',
    ...subscriptions,
  },
  {
    name: 'a sink that has said no more at its flush is given more',
    file: 'node/src/subscriptions/sink-state.ts',
    find: 'if (this.#isStopped) this.isFull = true;',
    replace: 'if (this.#isStopped) this.isFull = false;',
    ...subscriptions,
  },
  {
    name: 'pushes go on to a client that does not read',
    file: 'node/src/resp/connection-subscriptions.ts',
    find: 'this.#stalled = this.#output.waitingBytes > this.#limits.pushBytesMax;',
    replace: 'this.#stalled = false;',
    ...pushPace,
  },
  {
    name: 'a client that reads again is forgotten',
    file: 'node/src/resp/connection-subscriptions.ts',
    find: '    any.resume();',
    replace: '',
    ...pushPace,
  },
  {
    name: 'pushes go on while a connection ends',
    file: 'node/src/resp/session.ts',
    find: "    this.#state = 'finishing';\n    this.#subscriptions.closeAll();",
    replace: "    this.#state = 'finishing';",
    suite: 'node/src/resp/subscriptions.test.ts',
    tests: 'has ended its side',
  },
  {
    name: 'an event is copied from where others stand by now',
    file: 'node/src/resp/encoded-events.ts',
    find: ' && (this.#starts[slot] as number) + RING_BYTES >= this.#end',
    replace: '',
    suite: 'node/src/resp/encoded-events.test.ts',
  },
  {
    name: 'an entry is committed when any replica has it',
    file: 'node/src/replication/raft/configuration.ts',
    find: 'return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));',
    replace: 'return Math.max(a, b, c);',
    ...walk,
  },
  {
    name: 'an entry of an earlier term is committed by counting',
    file: 'node/src/replication/raft/leadership.ts',
    find: 'if (index <= commit || log.term(index) !== term) return;',
    replace: 'if (index <= commit) return;',
    ...conversation,
  },
  {
    name: 'a vote is told before it is durable',
    file: 'node/src/replication/raft/core.ts',
    find: 'if (this.#isVoteDurable()) this.#effects.push',
    replace: 'if (this.#held.length === 0) this.#effects.push',
    ...walk,
  },
  {
    name: 'a term is forgotten at a restart',
    file: 'node/src/storage/bucket-log.ts',
    find: 'if (vote.term >= this.#vote.term) this.#vote = vote;',
    replace: '',
    ...simulation,
    seed: 1,
  },
  {
    name: 'the entry before the new ones is not compared',
    file: 'node/src/replication/raft/core.ts',
    find: ' || !this.#agreesAt(previousIndex, previousTerm)) {',
    replace: ') {',
    ...simulation,
    seed: 5008,
  },
  {
    name: 'a read does not ask whether this is still the leader',
    file: 'node/src/replication/raft/leadership.ts',
    find: 'round: this.#round + 1 });',
    replace: 'round: 0 });',
    ...conversation,
  },
  {
    name: 'a linearizable read is answered by whoever led',
    file: 'node/src/replication/raft-group.ts',
    find: 'if (this.log.isAlone) return null;',
    replace: "if (this.log.isAlone || this.#state === 'leading') return null;",
    ...simulation,
    seed: 4,
  },
  {
    name: 'a conflict is answered from a frame in flight',
    file: 'node/src/engine/bucket-writer.ts',
    find: 'const frame = this.#frameInFlight(index);',
    replace: 'const frame = this.#frameInFlight(-index);',
    ...simulation,
    seed: 1,
  },
  {
    name: 'a follower applies what is not committed',
    file: 'node/src/replication/raft-group.ts',
    find: 'const fault = this.log.take(bytes, at, end);',
    replace:
      'const fault = this.log.take(bytes, at, end);\n        this.log.commit(this.log.endIndex);',
    ...simulation,
    seed: 29,
  },
  {
    name: 'entries that are there already are appended again',
    file: 'node/src/replication/raft/core.ts',
    find: 'known += 1;',
    replace: 'known += 0;',
    ...walk,
  },
  {
    name: 'a frame counts as durable before it is',
    file: 'node/src/storage/bucket-log.ts',
    find: 'const mark = this.#marks.frame();',
    replace:
      'const mark = this.#marks.frame();\n    queueMicrotask(() => { this.onDurable(this.endIndex); });',
    ...simulation,
    seed: 4,
  },
  {
    name: 'a heartbeat tells of commits beyond what the follower has acknowledged',
    file: 'node/src/replication/raft/leadership.ts',
    find: 'const commit = Math.min(this.#context.commit, match);',
    replace: 'const { commit } = this.#context;',
    ...simulation,
    seed: 4,
  },
  {
    name: 'joint consensus needs one majority only',
    file: 'node/src/replication/raft/configuration.ts',
    find: 'return outgoing.length === 0 ? incoming : Math.min(incoming, majorityValue(outgoing, valueOf));',
    replace:
      'return outgoing.length === 0 ? incoming : Math.max(incoming, majorityValue(outgoing, valueOf));',
    ...walk,
  },
  {
    name: 'checkpoints leave out what is not committed',
    file: 'node/src/storage/journal.ts',
    find: 'put(entryType.frame, bucket, replicaId, bytes.subarray(from, to));',
    replace: '',
    ...simulation,
    seed: 1,
  },
  {
    name: 'recovery takes everything in a group for committed',
    file: 'node/src/storage/bucket-log.ts',
    find: 'if (this.isAlone) this.commit(index);',
    replace: 'this.commit(index);',
    ...simulation,
    seed: 1,
  },
  {
    name: 'heads keep what a lost leadership has left open',
    file: 'node/src/engine/bucket-writer.ts',
    find: 'head.version = head.appliedVersion;',
    replace: '',
    suite: 'node/src/cluster/lost-leadership.test.ts',
  },
  {
    name: 'segments are written with what is not committed',
    file: 'node/src/storage/bucket-log.ts',
    find: 'committed: () => this.#writable(),',
    replace: 'committed: () => this.#end,',
    ...simulation,
    seed: 1,
  },
  {
    name: 'segments run ahead of the journal',
    file: 'node/src/storage/bucket-log.ts',
    find: 'committed: () => this.#writable(),',
    replace: 'committed: () => this.#committed,',
    ...simulation,
    seed: 56,
  },
  {
    name: 'a segment ends where it ended before its end was truncated',
    file: 'node/src/storage/bucket-log.ts',
    find: 'while ((this.young.at(-1)?.number ?? 0) > this.#end.segment) this.young.pop();',
    replace: '',
    ...simulation,
    seed: 1,
  },
  {
    name: 'what was durable before a truncation counts for what came after',
    file: 'node/src/storage/durable-marks.ts',
    find: 'offset: this.#last - index, cap: index });',
    replace: 'offset: this.#last - index, cap: Infinity });',
    suite: 'node/src/storage/durable-marks.test.ts',
  },
  {
    name: 'a replaced frame hides those that follow in its segment',
    file: 'node/src/storage/segment-frames.ts',
    find: 'if (segment === end?.segment && offset >= end.offset) return false;',
    replace: 'if (end !== undefined) return false;',
    ...simulation,
    seed: 2061,
  },
  {
    name: 'a frame that was committed while older laps were settled is in no checkpoint',
    file: 'node/src/storage/journal.ts',
    find: 'if (!this.#owner.isSettled()) {',
    replace: 'if (this.#owner === null) {',
    suite: 'node/src/storage/journal.test.ts',
  },
  {
    name: 'entries that were overtaken, and refused late, are not sent again',
    file: 'node/src/replication/raft/progress.ts',
    find: 'return index > this.match || (index === this.match && this.next > index + 1);',
    replace: 'return index > this.match;',
    suite: 'node/src/replication/raft/conversation.test.ts',
  },
  {
    name: 'a head is read from the disk while frames are applied, and is stale',
    file: 'node/src/engine/heads.ts',
    find: 'if (known === undefined && isBeingRead?.(streamId) !== true) return;',
    replace: 'if (known === undefined) return;',
    suite: 'node/src/engine/heads.test.ts',
  },
  {
    name: 'a leader without a majority appends more than a checkpoint can repeat',
    file: 'node/src/storage/uncommitted-room.ts',
    find: 'return this.#bytes === 0 || this.#bytes + bytes <= this.#shareBytes;',
    replace: 'return this.#bytes + bytes <= 16 * this.#shareBytes;',
    suite: 'node/src/cluster/uncommitted-room.test.ts',
  },
  ...replicationFaults,
  ...moveFaults,
  ...identityFaults,
];
