/** The directory whose bytes the pages in `docs/formats/` show. */
import { seededRandom } from '../../../../common/random.ts';
import { writeUint32, writeUint48 } from '../bytes.ts';
import {
  EVENT_HEADER_BYTES,
  FRAME_EVENTS_OFFSET,
  FRAME_HEADER_BYTES,
  frameKind,
  ID_SUPPLIED,
} from '../frame-format.ts';
import { inlineIndexBuilds } from '../index-builds.ts';
import { MemoryFileSystem } from '../memory-file-system.ts';
import { silentObserver } from '../observer.ts';
import { Storage } from '../storage.ts';
import { smallSettings } from './filled-directory.ts';

const KEY = '7e124fe8fe285398bb9553973100148f';
const EVENT_ID = '018bcfe568001237bb954123456789ab';

/** One bucket, two partitions; a first start, one append, a clean close. Event fields: wire protocol, section 6.6. */
export async function exampleDirectory(): Promise<MemoryFileSystem> {
  const files = new MemoryFileSystem();
  const settings = {
    ...smallSettings,
    bucketCount: 1,
    partitionCount: 2,
    journalFileBytes: 1024 * 1024,
  };
  const storage = await Storage.open('/data', settings, {
    files,
    clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
    random: seededRandom(1),
    observer: silentObserver,
    builds: inlineIndexBuilds(files),
    onFatal: (error) => {
      throw error;
    },
  });
  const [log] = storage.logs;
  if (log === undefined) throw new Error('there is one bucket');
  log.onDurable = (index): void => {
    log.commit(index);
  };
  log.persistVote({ term: 1, votedFor: log.replicaId });
  const leader = { kind: frameKind.leader, term: 1, partition: 0, firstSequence: 0, eventCount: 0 };
  log.finish(log.begin(FRAME_HEADER_BYTES), FRAME_HEADER_BYTES, leader);
  await storage.journal.flushed();
  const [stream, name, payload] = ['user-123', 'Registered', 'Alice'];
  const length =
    FRAME_EVENTS_OFFSET + EVENT_HEADER_BYTES + stream.length + name.length + payload.length;
  const place = log.begin(length);
  const { bytes, at } = place;
  bytes.write(KEY, at + FRAME_HEADER_BYTES, 'hex');
  const event = at + FRAME_EVENTS_OFFSET;
  bytes.write(EVENT_ID, event, 'hex');
  writeUint48(bytes, event + 16, 0);
  writeUint48(bytes, event + 22, 1_700_000_000_000);
  bytes[event + 28] = stream.length | ID_SUPPLIED;
  bytes[event + 29] = name.length;
  writeUint32(bytes, event + 30, 0);
  writeUint32(bytes, event + 34, payload.length);
  bytes.write(`${stream}${name}${payload}`, event + EVENT_HEADER_BYTES, 'latin1');
  log.finish(place, length, { ...leader, kind: frameKind.events, partition: 1, eventCount: 1 });
  await storage.journal.flushed();
  await storage.close();
  return files;
}
