/**
 * `assignment.json`: what a member knows of its cluster. `docs/formats/directory.md`. Once it is there, the directory belongs
 * to that cluster. Its last member is a checksum: the CRC32C, in hex, of the others as JSON without blanks, in their order.
 */
import { type Assignment, FEATURE_LEVEL } from '../../../common/assignment.ts';
import { jsonChecksum } from '../storage/crc.ts';
import { OpenError } from '../storage/errors.ts';
import type { FileSystem } from '../storage/file-system.ts';
import { readJsonFile, writeJsonFile } from '../storage/json-file.ts';
import { assignmentOf } from './assignment-shape.ts';

export const ASSIGNMENT_FILE = 'assignment.json';

/** Null where there is none: a fresh disk, or a single node's. Rejects with {@link OpenError} for one it cannot read. */
export async function readAssignment(
  files: FileSystem,
  directory: string,
  name: string = ASSIGNMENT_FILE,
): Promise<Assignment | null> {
  const assignment = await readJsonFile(files, directory, name, parse);
  if (assignment !== null && assignment.featureLevel > FEATURE_LEVEL) {
    throw new OpenError(
      'version',
      `${directory} belongs to a cluster of feature level ${String(assignment.featureLevel)}, this program knows ${String(FEATURE_LEVEL)}`,
    );
  }
  return assignment;
}

function parse(text: string): Assignment | null {
  try {
    const { checksum, ...value } = JSON.parse(text) as { checksum?: unknown };
    return checksum === jsonChecksum(value) ? assignmentOf(value) : null;
  } catch {
    return null;
  }
}

/** Durable when it resolves; before, the directory holds the earlier one or none. */
export async function writeAssignment(
  files: FileSystem,
  directory: string,
  assignment: Assignment,
  name: string = ASSIGNMENT_FILE,
): Promise<void> {
  const whole = { ...assignment, checksum: jsonChecksum(assignment) };
  await writeJsonFile(files, directory, name, whole);
}
