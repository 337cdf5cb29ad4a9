/**
 * The load generator's process: takes one {@link Job} after the other from its parent and answers each. It stays for the
 * whole benchmark, so that its own code is warm from the second run on.
 */
import { type Job, runJob } from './jobs.ts';

process.on('message', (job: Job) => {
  runJob(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => {
  process.exit();
});
