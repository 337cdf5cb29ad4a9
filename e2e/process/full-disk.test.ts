/**
 * The disk of one member is full for a while, under load: what that member leads may be refused, what the others lead goes on,
 * and when there is space again it catches up by itself.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle } from './testing/settle.ts';

const run = promisify(execFile);
const ROUNDS = 2;

/** A file system in memory, with room for 32 MiB, that can be filled. */
class SmallDisk implements AsyncDisposable {
  readonly directory: string;
  readonly #mount: string;

  static async create(): Promise<SmallDisk> {
    const mount = await mkdtemp(join(tmpdir(), 'sierradb-small-disk-'));
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=32m', 'tmpfs', mount]);
    } catch (error) {
      await rm(mount, { recursive: true });
      throw error;
    }
    const disk = new SmallDisk(mount);
    await mkdir(disk.directory);
    return disk;
  }

  private constructor(mount: string) {
    this.#mount = mount;
    this.directory = join(mount, 'data');
  }

  /** Takes all space but for what `leftBytes` says. */
  async fill(leftBytes: number): Promise<void> {
    await using file = await open(this.#filler, 'a');
    const piece = Buffer.alloc(64 * 1024);
    try {
      for (;;) await file.writeFile(piece);
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
    }
    const { size } = await file.stat();
    await file.truncate(Math.max(0, size - leftBytes));
  }

  async empty(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', ['-l', this.#mount]);
    await rm(this.#mount, { recursive: true });
  }

  get #filler(): string {
    return join(this.#mount, 'filler');
  }
}

const missing = await SmallDisk.create().then(
  async (disk) => {
    await disk[Symbol.asyncDispose]();
    return null;
  },
  (error: unknown) => `a small file system cannot be mounted here: ${(error as Error).message}`,
);
const options = missing === null ? {} : { skip: missing };

describe(`a full disk, seed ${seed}`, options, () => {
  it('costs nothing that was acknowledged, and heals when there is space', limits, async (t) => {
    const random = seededRandom(seed);
    await using disk = await SmallDisk.create();
    const places = [{}, { directory: disk.directory }];
    await using cluster = await ClusterProcesses.start(3, flags, places);
    await using load = new Load(cluster, random, { payloadBytesMax: 20_000 });
    for (let round = 0; round < ROUNDS; round += 1) {
      await load.acknowledged(100);
      await disk.fill(random.below(128 * 1024));
      await load.acknowledged(500);
      await disk.empty();
      await load.acknowledged(100);
    }
    const history = await load.stop();
    t.diagnostic(load.describe());

    await settle(cluster, history);
  });
});
