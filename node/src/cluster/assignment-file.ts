/**
 * `assignment.json`: what a member knows of its cluster. `docs/formats/directory.md`. Once it is there, the directory belongs
 * to that cluster. Its last member is a checksum: the CRC32C, in hex, of the others as JSON without blanks, in their order.
 */
import { type Assignment, FEATURE_LEVEL } from '../../../common/assignment.ts';
import { jsonChecksum } from '../storage/crc.ts';
import { OpenError } from '../storage/errors.ts';
import { type FileSystem, replaceFile } from '../storage/file-system.ts';
import { assignmentOf } from './assignment-shape.ts';

export const ASSIGNMENT_FILE = 'assignment.json';

/** Null where there is none: a fresh disk, or a single node's. Rejects with {@link OpenError} for one it cannot read. */
export async function readAssignment(
  files: FileSystem,
  directory: string,
  name: string = ASSIGNMENT_FILE,
): Promise<Assignment | null> {
  let text: string;
  try {
    text = (await files.readFile(`${directory}/${name}`)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const assignment = parse(text);
  if (assignment === null) {
    throw new OpenError('damaged', `${directory}/${name} is damaged`);
  }
  if (assignment.featureLevel > FEATURE_LEVEL) {
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
  const text = `${JSON.stringify(whole, null, 2)}\n`;
  await replaceFile(files, directory, name, Buffer.from(text));
}
