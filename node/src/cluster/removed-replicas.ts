/**
 * `removed.json`: stays of this member in buckets that have ended. `docs/formats/directory.md`. What stands here is given up: its
 * files are removed whenever they are found, and no replica of that stay is ever made again. So it is written before
 * anything is removed, and a crash in between leaves nothing to decide.
 */
import { jsonChecksum } from '../storage/crc.ts';
import type { FileSystem } from '../storage/file-system.ts';
import { readJsonFile, writeJsonFile } from '../storage/json-file.ts';

const REMOVED_FILE = 'removed.json';

/** By bucket: the version that began the latest stay that has ended. Earlier ones have ended, too. */
type Ends = Readonly<Record<string, number>>;

export class RemovedReplicas {
  readonly #files: FileSystem;
  readonly #directory: string;
  #ends: Ends;

  private constructor(files: FileSystem, directory: string, ends: Ends) {
    this.#files = files;
    this.#directory = directory;
    this.#ends = ends;
  }

  /** Rejects with `OpenError` for a file that it cannot read. */
  static async read(files: FileSystem, directory: string): Promise<RemovedReplicas> {
    const ends = await readJsonFile(files, directory, REMOVED_FILE, parse);
    return new RemovedReplicas(files, directory, ends ?? {});
  }

  /** The version that began the latest stay in the bucket that has ended; 0: none has. */
  since(bucket: number): number {
    return this.#ends[String(bucket)] ?? 0;
  }

  /** Buckets in which a stay has ended. */
  get buckets(): number[] {
    return Object.keys(this.#ends).map(Number);
  }

  /** The stay that began with version `since` has ended; durable when it resolves. */
  async note(bucket: number, since: number): Promise<void> {
    if (since <= this.since(bucket)) return;
    const removed = { ...this.#ends, [String(bucket)]: since };
    const whole = { removed, checksum: jsonChecksum(removed) };
    await writeJsonFile(this.#files, this.#directory, REMOVED_FILE, whole);
    this.#ends = removed;
  }
}

function parse(text: string): Ends | null {
  try {
    const { removed, checksum } = JSON.parse(text) as { removed?: Ends; checksum?: unknown };
    if (typeof removed !== 'object' || checksum !== jsonChecksum(removed)) return null;
    return Object.values(removed).every(Number.isSafeInteger) ? removed : null;
  } catch {
    return null;
  }
}
