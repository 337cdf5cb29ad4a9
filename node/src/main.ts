/**
 * The program `sierradb`. Commands that talk to a running node load nothing of the node, so that they start at once; everything
 * else is the node's own, and so is `cluster recover`, which works on the directory of a node that is stopped.
 */

import { clientCommands } from './client-commands.ts';

const given = process.argv.slice(2);
const [first, second] = given;
const command = first === 'help' ? second : first;

const isOffline = command === 'cluster' && given.includes('recover');

if (command !== undefined && clientCommands.includes(command) && !isOffline) {
  const { clientProgram } = await import('../../cli/main.ts');
  await clientProgram(command, first === 'help' ? ['--help'] : given.slice(1));
} else {
  const { nodeProgram } = await import('./program.ts');
  await nodeProgram(given);
}
