/** What `npm run bench` is told, and how much of everything a full and a quick run do. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import type { NodeProgram } from './servers.ts';

const ownProgram = fileURLToPath(new URL('../node/src/main.ts', import.meta.url));

export interface Sizes {
  readonly rounds: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Events in each of the 16 streams that are scanned. */
  readonly scanEventsPerStream: number;
  /** Events among which single ones are read. */
  readonly getEvents: number;
  /** Segments of the many-segments store and their size; the other store holds the same events in one. */
  readonly sealedSegments: number;
  readonly sealedSegmentMebibytes: number;
  /** Log to be recovered after the crash. */
  readonly crashMebibytes: number;
  /** Data that a clean start finds. */
  readonly startMebibytes: number;
  /** Events of the disk-space figure, and the segment size there: default in a full run. */
  readonly footprintEvents: number;
  readonly footprintSegmentMebibytes: number;
  readonly streamsInMemory: number;
  /** Events in each of the eight streams that subscribers catch up with, and the segments that they lie in. */
  readonly historyEventsPerStream: number;
  readonly historySegmentMebibytes: number;
  /** Subscriptions that wait while others append, and the two numbers of them whose memory is measured. */
  readonly idleSubscriptions: number;
  readonly subscriptionsInMemory: readonly [few: number, many: number];
  /** Events that a reader gets that has stopped reading, and for how long it has. */
  readonly stalledEvents: number;
  readonly stalledSeconds: number;
  /** For how long the nodes of an idle cluster are watched. */
  readonly idleSeconds: number;
  /** Leaders that are killed, one after the other. */
  readonly failovers: number;
  /** What is written while a node is down. */
  readonly missedMebibytes: number;
}

export interface BenchOptions {
  readonly quick: boolean;
  /** Names of scenarios; null: all. */
  readonly only: readonly string[] | null;
  readonly jsonFile: string | null;
  /** Folder for the servers' data, on the disk to be measured; removed afterwards. */
  readonly directory: string;
  /** `main.ts` of the node: this checkout's, or another one's to be compared with. */
  readonly program: NodeProgram;
  readonly sizes: Sizes;
}

const full: Sizes = {
  rounds: 5,
  warmUpSeconds: 1,
  seconds: 3,
  scanEventsPerStream: 10_000,
  getEvents: 200_000,
  sealedSegments: 100,
  sealedSegmentMebibytes: 1,
  crashMebibytes: 800,
  startMebibytes: 10_240,
  footprintEvents: 2_000_000,
  footprintSegmentMebibytes: 256,
  streamsInMemory: 5_000_000,
  historyEventsPerStream: 200_000,
  historySegmentMebibytes: 16,
  idleSubscriptions: 10_000,
  subscriptionsInMemory: [10_000, 50_000],
  stalledEvents: 200_000,
  stalledSeconds: 10,
  idleSeconds: 20,
  failovers: 20,
  missedMebibytes: 1024,
};

const quick: Sizes = {
  rounds: 3,
  warmUpSeconds: 0.15,
  seconds: 0.4,
  scanEventsPerStream: 2_000,
  getEvents: 50_000,
  sealedSegments: 100,
  sealedSegmentMebibytes: 0.5,
  crashMebibytes: 64,
  startMebibytes: 96,
  footprintEvents: 150_000,
  footprintSegmentMebibytes: 32,
  streamsInMemory: 200_000,
  historyEventsPerStream: 25_000,
  historySegmentMebibytes: 2,
  idleSubscriptions: 10_000,
  subscriptionsInMemory: [10_000, 50_000],
  stalledEvents: 20_000,
  stalledSeconds: 1,
  idleSeconds: 3,
  failovers: 2,
  missedMebibytes: 32,
};

export const usage = `npm run bench -- [options]
  --quick            fewer and shorter rounds on less data: a few minutes
  --only NAME,NAME   these scenarios only
  --rounds N         rounds of each comparison
  --seconds N        measured seconds of each run
  --missed-mib N     what is written while a node is down, in catch-up-segments
  --json FILE        write every run's figures there
  --dir FOLDER       where the servers keep their data meanwhile (default ./data-bench)
  --profile FOLDER   leave a CPU profile of every run of the node there; read it with bench/show-profile.ts
  --program FILE     another node/src/main.ts, say of an older checkout
`;

function positive(text: string | undefined, name: string, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes a positive number, not '${text}'`);
  return value;
}

/** Throws an error with one sentence for a mistake on the command line. */
export function parseOptions(commandLine: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'missed-mib': { type: 'string' },
      json: { type: 'string' },
      dir: { type: 'string', default: 'data-bench' },
      profile: { type: 'string' },
      program: { type: 'string', default: ownProgram },
    },
  });
  const sizes = values.quick ? quick : full;
  return {
    quick: values.quick,
    only: values.only?.split(',') ?? null,
    jsonFile: values.json ?? null,
    directory: values.dir,
    program: { mainFile: values.program, profileFolder: values.profile ?? null },
    sizes: {
      ...sizes,
      rounds: Math.ceil(positive(values.rounds, 'rounds', sizes.rounds)),
      seconds: positive(values.seconds, 'seconds', sizes.seconds),
      missedMebibytes: positive(values['missed-mib'], 'missed-mib', sizes.missedMebibytes),
    },
  };
}
