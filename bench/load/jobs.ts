/** What the generator's process can be told to do. */
import { type FanOutResult, type FanOutSpec, runFanOut } from './fan-out-run.ts';
import { type HistorySpec, runHistory } from './history-run.ts';
import { type LiveResult, type LiveSpec, runLive } from './live-run.ts';
import { type LoadResult, type LoadSpec, runLoad } from './load-run.ts';
import type { Measured } from './meter.ts';

/** By kind of job: what it needs to know, and what it answers. */
export interface JobSpecs {
  readonly requests: LoadSpec;
  readonly history: HistorySpec;
  readonly live: LiveSpec;
  readonly 'fan-out': FanOutSpec;
}

export interface JobResults {
  readonly requests: LoadResult;
  readonly history: Measured;
  readonly live: LiveResult;
  readonly 'fan-out': FanOutResult;
}

export type Job = {
  [Kind in keyof JobSpecs]: { readonly kind: Kind; readonly spec: JobSpecs[Kind] };
}[keyof JobSpecs];

/** Rejects when a connection breaks, the server refuses something, or nothing arrives for 30 s. */
export function runJob(job: Job): Promise<JobResults[Job['kind']]> {
  switch (job.kind) {
    case 'requests':
      return runLoad(job.spec);
    case 'history':
      return runHistory(job.spec);
    case 'live':
      return runLive(job.spec);
    case 'fan-out':
      return runFanOut(job.spec);
  }
}
