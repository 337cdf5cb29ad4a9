/** Wall clocks that step by hours under load, each member's at another time: nothing is lost, and nobody notices. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import { seededRandom } from '../../common/random.ts';
import { ClusterProcesses } from '../testing/cluster-processes.ts';
import { WireClient } from '../testing/wire-client.ts';
import { flags, limits, patience, seed } from './testing/fault-test.ts';
import { Load } from './testing/load.ts';
import { settle } from './testing/settle.ts';

const JUMPS = Number(process.env['JUMPS'] ?? 12);
const HOUR_MS = 3_600_000;

const clock = pathToFileURL(join(import.meta.dirname, 'testing', 'jumping-clock.ts')).href;
const place = { environment: { NODE_OPTIONS: `--import=${clock}` } };

/** How far the clock of whoever leads a stream's bucket is from this one's. */
async function offsetMs(cluster: ClusterProcesses, stream: string): Promise<number> {
  using client = await WireClient.connect(cluster.node(0).port);
  const reply = (await client.call('EAPPEND', stream, 'E')) as Map<string, unknown>;
  return Number(reply.get('timestamp')) - Date.now();
}

describe(`clocks that jump, seed ${seed}`, () => {
  it('cost nobody anything', limits, async (t) => {
    const random = seededRandom(seed);
    const places = [place, place, place];
    await using cluster = await ClusterProcesses.start(3, [...flags, ...patience], places);
    await using load = new Load(cluster, random, { allowed: ['WRONGVER'], callMs: 15_000 });
    await load.acknowledged(100);
    for (let jump = 0; jump < JUMPS; jump += 1) {
      cluster.node(random.below(3)).kill('SIGUSR2');
      await load.acknowledged(20 + random.below(60));
    }
    for (const index of cluster.indices) cluster.node(index).kill('SIGUSR2');
    await load.acknowledged(20);
    const others = Array.from({ length: 12 }, (_, i) => `clock-${i}`);
    const offsets = await Promise.all(others.map((stream) => offsetMs(cluster, stream)));
    assert.ok(
      offsets.some((ms) => Math.abs(ms) > HOUR_MS / 2),
      `some clock has jumped: ${offsets.join(' ')}`,
    );
    const history = await load.stop();
    t.diagnostic(load.describe());
    await settle(cluster, history, (stream) => stream.startsWith('clock-'));
  });
});
