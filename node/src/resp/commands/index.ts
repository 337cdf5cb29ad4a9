/** All commands by name. */
import { auth } from './auth.ts';
import { client } from './client.ts';
import { commandIntrospection } from './command-introspection.ts';
import type { Command } from './command.ts';
import { eack } from './eack.ts';
import { eappend } from './eappend.ts';
import { echo } from './echo.ts';
import { eget } from './eget.ts';
import { emappend } from './emappend.ts';
import { epscan } from './epscan.ts';
import { epseq } from './epseq.ts';
import { epsub } from './epsub.ts';
import { escan } from './escan.ts';
import { esub } from './esub.ts';
import { esver } from './esver.ts';
import { eunsub } from './eunsub.ts';
import { hello } from './hello.ts';
import { info } from './info.ts';
import { ping } from './ping.ts';
import { quit } from './quit.ts';
import { readonlyMode, readwriteMode } from './read-mode.ts';
import { reset } from './reset.ts';
import { select } from './select.ts';

export const commands: readonly Command[] = [
  eappend,
  emappend,
  eget,
  escan,
  esver,
  epscan,
  epseq,
  esub,
  epsub,
  eack,
  eunsub,
  hello,
  ping,
  info,
  client,
  commandIntrospection,
  select,
  auth,
  echo,
  quit,
  reset,
  readonlyMode,
  readwriteMode,
];

/** Upper and lower case are looked up as they are; other spellings are converted first. */
const byName = new Map<string, Command>(
  commands.flatMap((command) => [
    [command.name, command],
    [command.name.toLowerCase(), command],
  ]),
);

const NAME_BYTES_MAX = Math.max(...commands.map(({ name }) => name.length));

/** The command with this name, in any case; undefined if there is none. */
export function findCommand(name: Buffer): Command | undefined {
  if (name.length > NAME_BYTES_MAX) return undefined;
  const text = name.toString('latin1');
  return byName.get(text) ?? byName.get(text.toUpperCase());
}
