import { append, type Bench, eventsPerSecond } from '../bench.ts';
import type { Latencies } from '../load/histogram.ts';
import type { LiveResult } from '../load/live-run.ts';
import { streamName } from '../load/requests.ts';
import { formatNumber } from '../report.ts';

const STREAMS = 100_000;
const APPENDERS = 64;
const SUBSCRIBERS = 100;
const UNDER_WAY_MAX = 128;
/** One that no fill has used. */
const FAN_OUT_STREAM = 2e9;

const words = ({ p50, p99 }: Latencies): string => `${formatNumber(p50)} · ${formatNumber(p99)} ms`;

/** 64 appenders, and one subscriber to everything: when the push comes, seen from the reply. */
export async function live(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs();
  await ours.fill(append('random', STREAMS), bench.options.quick ? 20_000 : 100_000, {
    connections: APPENDERS,
    pipeline: 4,
  });
  const { warmUpSeconds, seconds } = bench.sizes;
  const { ours: runs } = await bench.alternate<LiveResult>(
    (round) =>
      ours.deliver(
        'live',
        (server) => ({
          ...server,
          ...{ appenders: APPENDERS, streams: STREAMS, subscription: ['EPSUB', '*'] },
          ...{ warmUpSeconds, seconds, seed: round + 1 },
        }),
        round,
        `${String(APPENDERS)} appenders, EPSUB *`,
        ({ appendMs, pushAfterReplyMs, pushMs, earlyShare }) =>
          `append ${words(appendMs)}, push behind reply ${words(pushAfterReplyMs)}, ` +
          `push behind request ${words(pushMs)}, ${formatNumber(100 * earlyShare)} % before the reply, `,
      ),
    null,
  );
  const early = runs.map(({ earlyShare }) => `${formatNumber(100 * earlyShare)} %`).join(', ');
  for (const quantile of ['p50', 'p99'] as const) {
    const figures = (of: 'appendMs' | 'pushAfterReplyMs' | 'pushMs'): number[] =>
      runs.map((run) => run[of][quantile]);
    bench.addFigures(
      figures('pushAfterReplyMs'),
      {
        measure: `live 64 appenders, reply → push ${quantile} : append`,
        unit: 'ms',
        target: { judged: 'ratio', better: 'lower', reach: 1, aim: 0.5 },
        note: `${early} of the pushes came before their append's reply and count as 0 ms`,
      },
      figures('appendMs'),
    );
    bench.addFigures(
      figures('pushMs'),
      { measure: `live 64 appenders, request → push ${quantile} : append`, unit: 'ms' },
      figures('appendMs'),
    );
  }
}

/** One stream, and 100 connections that subscribe to it. */
export async function fanOut(bench: Bench): Promise<void> {
  await using ours = await bench.startOurs();
  const { warmUpSeconds, seconds } = bench.sizes;
  const spec = { stream: FAN_OUT_STREAM, subscription: ['ESUB', streamName(FAN_OUT_STREAM)] };
  const comparison = await bench.alternate(
    (round) =>
      ours.deliver(
        'fan-out',
        (server) => ({
          ...server,
          ...spec,
          ...{ subscribers: SUBSCRIBERS, underWayMax: UNDER_WAY_MAX, warmUpSeconds, seconds },
        }),
        round,
        `one stream, ${String(SUBSCRIBERS)} subscribers`,
        ({ lastPushMs }) => `at the last one after ${words(lastPushMs)}, `,
      ),
    null,
  );
  bench.addComparison(comparison, eventsPerSecond, {
    measure: 'live 1 stream, 100 subscribers: events delivered',
    unit: '/s',
    target: { judged: 'ours', better: 'higher', reach: 200_000, aim: 400_000 },
  });
}
