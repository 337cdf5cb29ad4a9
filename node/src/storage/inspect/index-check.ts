/**
 * Whether the index files of a segment are those that the segment gives. They are a function of the segment alone, byte
 * for byte, so they are built again in memory and compared.
 */
import { DamageError } from '../errors.ts';
import type { FileHandle, FileSystem, OpenMode } from '../file-system.ts';
import { damagedPage, PAGE_BYTES } from '../index-page.ts';
import { MemoryFileSystem } from '../memory-file-system.ts';
import {
  eventIndexFileName,
  partitionIndexFileName,
  segmentFileName,
  streamIndexFileName,
} from '../names.ts';
import { buildSegmentIndexes } from '../segment-index-builder.ts';
import { hasCode } from '../system-error.ts';

export interface IndexFault {
  readonly name: string;
  /** First byte that differs, and the file's length; both 0 where the file is missing. */
  readonly from: number;
  readonly to: number;
  readonly missing: boolean;
}

/** The segment's own file is the real one, what is written goes to memory. */
class BuildArea extends MemoryFileSystem {
  readonly #files: FileSystem;
  readonly #segmentPath: string;

  constructor(files: FileSystem, segmentPath: string) {
    super();
    this.#files = files;
    this.#segmentPath = segmentPath;
  }

  override open(path: string, mode: OpenMode): Promise<FileHandle> {
    if (path !== this.#segmentPath) return super.open(path, mode);
    return this.#files.open(path, 'read');
  }
}

/** Compares all three files of a segment that is whole up to `end`. */
export async function checkIndexes(
  files: FileSystem,
  folder: string,
  segment: number,
  end: number,
): Promise<IndexFault[]> {
  const area = new BuildArea(files, `${folder}/${segmentFileName(segment)}`);
  await area.makeDirectory(folder);
  try {
    await buildSegmentIndexes(area, folder, segment, end);
  } catch (error) {
    // An inconsistent log has its own finding.
    if (error instanceof DamageError) return [];
    throw error;
  }
  const faults: IndexFault[] = [];
  for (const nameOf of [streamIndexFileName, partitionIndexFileName, eventIndexFileName]) {
    const name = nameOf(segment);
    const fault = compare(
      name,
      await contentOf(files, folder, name),
      await area.readFile(`${folder}/${name}`),
    );
    if (fault !== null) faults.push(fault);
  }
  return faults;
}

async function contentOf(files: FileSystem, folder: string, name: string): Promise<Buffer | null> {
  try {
    return await files.readFile(`${folder}/${name}`);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function compare(name: string, found: Buffer | null, built: Buffer): IndexFault | null {
  if (found === null) return { name, from: 0, to: 0, missing: true };
  if (found.equals(built)) return null;
  let from = 0;
  while (from < found.length && found[from] === built[from]) from += 1;
  return { name, from, to: found.length, missing: false };
}

/** What is wrong with a summary of filters, by its checksums alone; null if nothing. */
export async function checkSummary(
  files: FileSystem,
  folder: string,
  name: string,
): Promise<IndexFault | null> {
  const bytes = await contentOf(files, folder, name);
  if (bytes === null) return null;
  const page = damagedPage(bytes);
  if (page === null) return null;
  const from = page * PAGE_BYTES;
  return { name, from, to: Math.min(from + PAGE_BYTES, bytes.length), missing: false };
}
