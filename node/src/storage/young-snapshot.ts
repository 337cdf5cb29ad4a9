/**
 * The young index of a bucket's last segment, left behind by a clean close, so that the next start need not read the
 * segment. Derived: without it, or with one that does not fit, the segment is read.
 *
 * ```text
 *  0 8 bytes "SDBYOUN1"    8 u32 crc of bytes 12..end    12 u32 byte order mark    16 words
 * words: segment, offset, index (2), crc of its last frame, next sequence of each partition slot (list of pairs), index
 * ```
 *
 * It is valid for one position in one log: index and chained checksum of a frame name everything before it. So it is
 * neither synced nor removed when it becomes stale: what a crash tears fails its checksum, what the log has left behind fits
 * no checkpoint any more.
 */
import { readUint32, writeUint32 } from './bytes.ts';
import { crc32c } from './crc.ts';
import type { FileSystem } from './file-system.ts';
import type { LogPosition } from './journal-format.ts';
import { youngSnapshotFileName } from './names.ts';
import { largeWords, listWords, WordReader } from './words.ts';
import { YoungIndex } from './young-index.ts';

export interface YoungSnapshot {
  /** Behind the last frame that the index knows. */
  readonly end: LogPosition;
  readonly nextSequences: readonly number[];
  readonly index: YoungIndex;
}

const MAGIC = Buffer.from('SDBYOUN1', 'latin1');
const HEADER_BYTES = 16;
/** Written as a word: another byte order reads another number. */
const BYTE_ORDER_MARK = 0x01020304;
const WRITE_BYTES = 16 * 1024 * 1024;

const bytesOf = (words: Uint32Array): Buffer =>
  Buffer.from(words.buffer, words.byteOffset, words.byteLength);

function encode({ end, nextSequences, index }: YoungSnapshot): Buffer[] {
  const { segment, offset, crc } = end;
  const position = Uint32Array.of(segment, offset, ...largeWords(end.index), crc);
  const next = Uint32Array.from(nextSequences.flatMap(largeWords));
  const words = [position, ...listWords(next), ...index.encode()];
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header, 0);
  bytesOf(Uint32Array.of(BYTE_ORDER_MARK)).copy(header, 12);
  const pieces = words.map(bytesOf);
  const checksum = pieces.reduce((sum, piece) => crc32c(piece, sum), crc32c(header.subarray(12)));
  writeUint32(header, 8, checksum);
  return [header, ...pieces];
}

/** Leaves the snapshot in the bucket's folder of segments. Rejects with the disk's error, with nothing lost. */
export async function writeYoungSnapshot(
  files: FileSystem,
  folder: string,
  snapshot: YoungSnapshot,
): Promise<void> {
  const path = `${folder}/${youngSnapshotFileName}`;
  await files.remove(path);
  const file = await files.open(path, 'create');
  try {
    let at = 0;
    for (const piece of gathered(encode(snapshot))) {
      await file.write(piece, at);
      at += piece.length;
    }
  } finally {
    await file.close();
  }
}

/** Joins small pieces, so that one bucket takes a handful of writes. */
function* gathered(pieces: readonly Buffer[]): Generator<Buffer> {
  let group: Buffer[] = [];
  let length = 0;
  for (const piece of pieces) {
    group.push(piece);
    length += piece.length;
    if (length < WRITE_BYTES) continue;
    yield Buffer.concat(group);
    group = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(group);
}

/** The snapshot that was taken at exactly `end`, or null. */
export async function readYoungSnapshot(
  files: FileSystem,
  folder: string,
  end: LogPosition,
  slots: number,
): Promise<YoungSnapshot | null> {
  const words = wordsOf(await contentOf(files, `${folder}/${youngSnapshotFileName}`));
  if (words === null) return null;
  const reader = new WordReader(words);
  const fits =
    reader.next() === end.segment &&
    reader.next() === end.offset &&
    reader.nextLarge() === end.index &&
    reader.next() === end.crc &&
    reader.next() === 2 * slots;
  if (!fits) return null;
  const nextSequences = Array.from({ length: slots }, () => reader.nextLarge());
  return { end, nextSequences, index: YoungIndex.decode(reader) };
}

async function contentOf(files: FileSystem, path: string): Promise<Buffer | null> {
  try {
    return await files.readFile(path);
  } catch {
    // Whatever is wrong with it, the segment itself will do.
    return null;
  }
}

/** The words of a whole file, or null. */
function wordsOf(file: Buffer | null): Uint32Array | null {
  if (file === null || file.length < HEADER_BYTES || file.length % 4 !== 0) return null;
  if (!MAGIC.equals(file.subarray(0, 8))) return null;
  if (crc32c(file.subarray(12)) !== readUint32(file, 8)) return null;
  const bytes = file.byteOffset % 4 === 0 ? file : new Uint8Array(file);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + 12, (file.length - 12) / 4);
  return words[0] === BYTE_ORDER_MARK ? words.subarray(1) : null;
}
