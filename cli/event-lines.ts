/** How a session prints events. */
import type { StoredEvent } from '../client/index.ts';
import type { Session } from './command.ts';
import { eventJson } from './event-json.ts';
import { EventRows } from './event-text.ts';
import type { FlagTable, Line } from './line.ts';

/** Of commands that print events. */
export const eventFlags: FlagTable = {
  parse: {
    value: null,
    doc: 'With --json: payload and metadata that are JSON as part of the line instead of as text.',
  },
};

/** A payload on a terminal; a longer one is cut, and its size told. */
const CHARACTERS_MAX = 2000;

/** A line for each event. */
export function eventPrinter(
  line: Line,
  { isJson, terminal }: Pick<Session, 'isJson' | 'terminal'>,
  { showsPartition }: { readonly showsPartition: boolean },
): (event: StoredEvent) => string {
  if (isJson) return (event) => eventJson(event, { isParsed: line.has('parse') });
  const rows = new EventRows({
    hasColours: terminal.hasColours,
    showsPartition,
    charactersMax: terminal.isTerminal ? CHARACTERS_MAX : Infinity,
  });
  return (event) => rows.row(event);
}
