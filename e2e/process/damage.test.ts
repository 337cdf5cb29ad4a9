/** A member whose disk has changed what was written: it heals from the others, and then goes on as if nothing had been. */
import assert from 'node:assert/strict';
import { open, readdir, rm } from 'node:fs/promises';
import { describe, it } from 'node:test';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { flags, limits, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle, until } from './testing/settle.ts';

const HEADER_BYTES = 1000;

/** Changes a byte in the segment of every bucket that has frames; returns in how many. */
async function changeBytes(directory: string): Promise<number> {
  let changed = 0;
  for (const bucket of await readdir(`${directory}/buckets`)) {
    const folder = `${directory}/buckets/${bucket}/segments`;
    for (const name of await readdir(folder)) {
      // Young indexes that a stop has left would answer without the segment.
      if (!name.endsWith('.log')) await rm(`${folder}/${name}`);
    }
    const file = await open(`${folder}/0000000000.log`, 'r+').catch(() => null);
    if (file === null) continue;
    const { size } = await file.stat();
    if (size > 2 * HEADER_BYTES) {
      const at = HEADER_BYTES + Math.floor((size - HEADER_BYTES) / 2);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      await file.write(Buffer.of((byte[0] ?? 0) ^ 0x10), 0, 1, at);
      changed += 1;
    }
    await file.close();
  }
  return changed;
}

describe(`a member whose disk has changed bytes, seed ${seed}`, () => {
  it('heals under load, and holds the same bytes', limits, async (t) => {
    await using cluster = await ClusterProcesses.start(3, flags);
    await using load = new Load(cluster, seededRandom(seed));
    await load.acknowledged(300);
    const victim = cluster.node(1);
    await victim.stop();
    await load.acknowledged(50);
    const changed = await changeBytes(cluster.directory(1));
    assert(changed > 0);
    const again = await cluster.restart(1);
    const metric = async (name: string): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${again.adminPort}/metrics`);
      const line = new RegExp(`^${name} (\\d+)`, 'm').exec(await answer.text());
      return Number(line?.[1] ?? -1);
    };
    await until(async () => (await metric('sierradb_healed_segments_total')) === changed);
    await until(async () => (await metric('sierradb_quarantined_buckets')) === 0);
    await load.acknowledged(100);
    const history = await load.stop();
    t.diagnostic(load.describe());
    t.diagnostic(`${changed} segments healed`);
    await settle(cluster, history);
  });
});
