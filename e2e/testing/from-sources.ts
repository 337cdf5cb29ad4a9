/** Preloaded into examples that run from a checkout: `sierradb/client` is its sources, so that no build can be stale. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const client = pathToFileURL(join(import.meta.dirname, '..', '..', 'client', 'index.ts')).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'sierradb/client'
      ? { url: client, format: 'module-typescript', shortCircuit: true }
      : next(specifier, context),
});
