/** Small JSON files of a data directory: read whole, checked by whoever knows their shape, replaced in one step. */
import { OpenError } from './errors.ts';
import { type FileSystem, replaceFile } from './file-system.ts';

/** Null where there is none. Rejects with {@link OpenError} for one of which `parse` makes null: it is damaged. */
export async function readJsonFile<T>(
  files: FileSystem,
  directory: string,
  name: string,
  parse: (text: string) => T | null,
): Promise<T | null> {
  let text: string;
  try {
    text = (await files.readFile(`${directory}/${name}`)).toString('utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const value = parse(text);
  if (value === null) throw new OpenError('damaged', `${directory}/${name} is damaged`);
  return value;
}

/** Durable when it resolves; before, the directory holds the earlier one or none. */
export async function writeJsonFile(
  files: FileSystem,
  directory: string,
  name: string,
  value: object,
): Promise<void> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  await replaceFile(files, directory, name, Buffer.from(text));
}
