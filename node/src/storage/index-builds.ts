/**
 * Where derived files are built: in a worker thread on the real disk, so that a second of sorting does not stop appends;
 * or here, for file systems that live in this thread.
 *
 * Invariant: one job runs at a time, in the order in which they were asked for. The worker is started for the first job
 * and ended after ten idle seconds, because its heap holds on to what a large segment took.
 */
import { Worker } from 'node:worker_threads';

import { assert } from '../../../common/assert.ts';
import type { FileSystem } from './file-system.ts';
import type { SummaryKind } from './filter-summary.ts';
import { type IndexJob, type JobResult, runIndexJob, toError } from './index-jobs.ts';
import type { SegmentSummary } from './segment-index-builder.ts';

const IDLE_MS = 10_000;

export interface IndexBuilds {
  /** Builds the three index files of a segment. Rejects with DamageError, or the disk's error. */
  build(folder: string, segment: number, end: number): Promise<SegmentSummary>;
  /** Builds one filter over the keys of these segments out of their index files. Rejects if one of those is bad. */
  summarize(folder: string, kind: SummaryKind, segments: readonly number[]): Promise<void>;
  /** Jobs not begun are refused, the one that runs is broken off: derived files are only ever put in place whole. */
  close(): Promise<void>;
}

/** Runs a job; what `close` ends. */
interface JobRunner {
  run(job: IndexJob): Promise<SegmentSummary | null>;
  close(): Promise<void>;
}

/** Builds in this thread. */
export function inlineIndexBuilds(files: FileSystem): IndexBuilds {
  return queued({ run: (job) => runIndexJob(files, job), close: () => Promise.resolve() });
}

/** Builds in a worker thread, on the real file system. */
export function workerIndexBuilds(): IndexBuilds {
  return queued(new WorkerRunner());
}

function queued(runner: JobRunner): IndexBuilds {
  let queue: Promise<unknown> = Promise.resolve();
  let closed = false;
  const submit = (job: IndexJob): Promise<SegmentSummary | null> => {
    const done = queue.then(() => {
      if (closed) throw new Error('index building has ended');
      return runner.run(job);
    });
    queue = done.catch(() => undefined);
    return done;
  };
  return {
    build: async (folder, segment, end) => {
      const summary = await submit({ kind: 'index', folder, segment, end });
      assert(summary !== null, 'building an index gives a summary');
      return summary;
    },
    summarize: async (folder, of, segments) => {
      await submit({ kind: 'summary', folder, of, segments });
    },
    close: async () => {
      closed = true;
      await runner.close();
      await queue;
    },
  };
}

class WorkerRunner implements JobRunner {
  #worker: Worker | null = null;
  #current: PromiseWithResolvers<SegmentSummary | null> | null = null;
  #idle: NodeJS.Timeout | null = null;

  run(job: IndexJob): Promise<SegmentSummary | null> {
    assert(this.#current === null, 'one job runs at a time');
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#current = Promise.withResolvers();
    this.#worker.postMessage(job);
    return this.#current.promise;
  }

  async close(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    // The compiler rewrites extensions of imports, but not of this address.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const worker = new Worker(new URL(`./index-worker.${extension}`, import.meta.url));
    worker.on('message', (result: JobResult) => {
      this.#finish(result);
    });
    worker.on('error', (error) => {
      this.#fail(error as Error);
    });
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = null;
      this.#fail(new Error('the index worker ended'));
    });
    return worker;
  }

  #finish(result: JobResult): void {
    const current = this.#current;
    this.#current = null;
    // An idle worker keeps no process alive.
    this.#worker?.unref();
    this.#idle = setTimeout(() => void this.#worker?.terminate(), IDLE_MS).unref();
    if ('failure' in result) current?.reject(toError(result.failure));
    else current?.resolve(result.summary);
  }

  #fail(error: Error): void {
    const current = this.#current;
    this.#current = null;
    current?.reject(error);
  }
}
