/**
 * Loaded with `--import` before a test: puts the fault named by `PLANTED_FAULT` into its file as that is loaded.
 * Ends the process with code 99 where the fault could not be planted, so that it is not taken for one that was noticed.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';

import { plantedFaults } from './faults.ts';

export const NOT_PLANTED = 99;

const name = process.env['PLANTED_FAULT'];
const fault = plantedFaults.find((candidate) => candidate.name === name);
let planted = false;

function giveUp(reason: string): never {
  process.stderr.write(`the fault "${name}" could not be planted: ${reason}\n`);
  process.exit(NOT_PLANTED);
}

if (fault === undefined) giveUp('no such fault');
const { find, replace, file } = fault;
const url = pathToFileURL(file).href;

registerHooks({
  load(loaded, context, nextLoad) {
    const result = nextLoad(loaded, context);
    if (loaded !== url) return result;
    const source = String(
      typeof result.source === 'string' ? result.source : Buffer.from(result.source as Uint8Array),
    );
    const count = source.split(find).length - 1;
    if (count !== 1) giveUp(`its text occurs ${count} times in ${file}`);
    planted = true;
    return { ...result, source: source.replace(find, () => replace) };
  },
});

process.on('exit', () => {
  if (!planted) giveUp(`${file} was not loaded`);
});
