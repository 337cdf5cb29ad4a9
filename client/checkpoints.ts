/** Places to keep positions in. */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { CheckpointError, InvalidArgumentError } from './errors.ts';
import type { CheckpointStore, SubscriptionPosition } from './types.ts';

/** Positions in memory: for tests, and for consumers that begin anew with every start. */
export class MemoryCheckpointStore implements CheckpointStore {
  readonly #positions = new Map<string, string>();

  load(name: string): Promise<SubscriptionPosition | null> {
    const text = this.#positions.get(name);
    return Promise.resolve(text === undefined ? null : (JSON.parse(text) as SubscriptionPosition));
  }

  save(name: string, position: SubscriptionPosition): Promise<void> {
    this.#positions.set(name, JSON.stringify(position));
    return Promise.resolve();
  }
}

/**
 * Positions in files, one per name, in a directory that is made if need be. A save writes beside the file, syncs, and takes its
 * place: after a crash or a power cut there is the old position or the new one. A file that is neither is a `CheckpointError`,
 * never a start from somewhere else.
 */
export class FileCheckpointStore implements CheckpointStore {
  readonly #directory: string;
  /** Saves that have been asked for; they run one after the other. */
  #last: Promise<void> = Promise.resolve();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async load(name: string): Promise<SubscriptionPosition | null> {
    const path = this.#path(name);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    return parse(text, path);
  }

  save(name: string, position: SubscriptionPosition): Promise<void> {
    const path = this.#path(name);
    const text = `${JSON.stringify(position)}\n`;
    const saved = this.#last.then(() => this.#write(path, text));
    this.#last = saved.catch(() => undefined);
    return saved;
  }

  #path(name: string): string {
    if (name === '') throw new InvalidArgumentError('a checkpoint without a name');
    // `%` and what it stands before are legal in every file system, `/` and `:` are not.
    return join(this.#directory, `${encodeURIComponent(name).replaceAll('*', '%2A')}.json`);
  }

  async #write(path: string, text: string): Promise<void> {
    const isNew = (await mkdir(this.#directory, { recursive: true })) !== undefined;
    const draft = `${path}.${process.pid}.tmp`;
    try {
      const file = await open(draft, 'w');
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
    await syncDirectory(this.#directory);
    if (isNew) await syncDirectory(join(this.#directory, '..'));
  }
}

/** A rename is durable when its directory is. Windows has no such call, and needs none. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function parse(text: string, path: string): SubscriptionPosition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(`${path} is damaged: it is no JSON`, { cause: error });
  }
  if (!isPosition(value)) throw new CheckpointError(`${path} is damaged: it is no position`);
  return value;
}

function isPosition(value: unknown): value is SubscriptionPosition {
  if (typeof value !== 'object' || value === null) return false;
  const entries = Object.entries(value);
  return (
    entries.length === 1 &&
    entries.every(([key, places]) => /^(streams|partitions)$/.test(key) && isRecord(places))
  );
}

const isRecord = (places: unknown): boolean =>
  typeof places === 'object' &&
  places !== null &&
  Object.values(places).every((place) => Number.isSafeInteger(place) && Number(place) >= 0);
