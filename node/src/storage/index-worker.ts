/** The thread that builds derived files on the real disk. Started by `index-builds.ts`, which sends one job at a time. */
import { parentPort } from 'node:worker_threads';

import { assert } from '../../../common/assert.ts';
import { type IndexJob, type JobResult, runIndexJob, toFailure } from './index-jobs.ts';
import { RealFileSystem } from './real-file-system.ts';

assert(parentPort !== null, 'this file runs as a worker thread');
const port = parentPort;
const files = new RealFileSystem();

port.on('message', (job: IndexJob) => {
  runIndexJob(files, job)
    .then(
      (summary): JobResult => ({ summary }),
      (error: unknown): JobResult => ({ failure: toFailure(error) }),
    )
    .then((result) => {
      port.postMessage(result);
    })
    .catch((error: unknown) => {
      throw error;
    });
});
