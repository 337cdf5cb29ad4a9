import { type Bench, cpuPerEvent, eventsPerSecond } from '../bench.ts';
import type { TransactionWorkload } from '../load/requests.ts';

const SHAPE = { connections: 64, pipeline: 1 };

/** Transactions over streams of one partition against XADDs between MULTI and EXEC. */
export async function transactions(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs();
  await using peer = await bench.startPeer();
  for (const events of [10, 100]) {
    const workload: TransactionWorkload = { kind: 'transaction', events };
    for (const contender of [ours, peer]) {
      await contender?.fill(workload, bench.options.quick ? 500 : 2000, SHAPE);
    }
    const comparison = await bench.compare(ours, peer, workload, SHAPE);
    bench.addComparison(comparison, eventsPerSecond, {
      measure: `transactions of ${String(events)}, 64 clients: events`,
      unit: '/s',
    });
    bench.addComparison(comparison, cpuPerEvent, {
      measure: `transactions of ${String(events)}: server CPU per event`,
      unit: 'µs',
      target: events === 100 ? { judged: 'ours', better: 'lower', reach: 4, aim: 2 } : null,
    });
  }
}
