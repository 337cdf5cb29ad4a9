/**
 * The program `sierradb`. Commands that talk to a running node load nothing of the node, so that they start at once; everything
 * else is the node's own.
 */

import { clientCommands } from './client-commands.ts';

const given = process.argv.slice(2);
const [first, second] = given;
const command = first === 'help' ? second : first;

if (command !== undefined && clientCommands.includes(command)) {
  const { clientProgram } = await import('../../cli/main.ts');
  await clientProgram(command, first === 'help' ? ['--help'] : given.slice(1));
} else {
  const { nodeProgram } = await import('./program.ts');
  await nodeProgram(given);
}
