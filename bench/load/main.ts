/**
 * The load generator's process: takes one {@link LoadSpec} after the other from its parent and answers each. It stays
 * for the whole benchmark, so that its own code is warm from the second run on.
 */
import { type LoadSpec, runLoad } from './load-run.ts';

process.on('message', (spec: LoadSpec) => {
  runLoad(spec).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => {
  process.exit();
});
