/** Help texts, made of what the commands say of themselves. */
import type { Command } from './command.ts';
import { exitCodesText } from './exit-code.ts';
import type { Flag, FlagTable } from './line.ts';

/** Flags of every command. */
export const commonFlags: FlagTable = {
  address: {
    short: 'a',
    value: 'HOST:PORT',
    doc: 'The node, also as a URL: sierradb://user:password@host:port, sierradbs:// with TLS. Else SIERRADB_ADDRESS, else 127.0.0.1:9090.',
  },
  json: { short: 'j', value: null, doc: 'JSON lines for programs.' },
  timeout: { value: 'SECONDS', doc: 'How long a request may take, retries included [30].' },
  quiet: { short: 'q', value: null, doc: 'No notes on standard error, only failures.' },
  help: { short: 'h', value: null, doc: 'Print this.' },
};

/** A command's own come first, and win. */
export const flagsOf = ({ flags }: Command): FlagTable => ({ ...flags, ...commonFlags, ...flags });

const COLUMNS = 100;
const FLAG_COLUMNS = 24;

export function helpText(command: Command): string {
  const usage = command.usage.map((line) => `sierradb ${line}`);
  const parts = [
    `Usage: ${usage.join('\n       ')}`,
    command.text,
    section('Flags', flagRows(flagsOf(command))),
    section(
      'Examples',
      command.examples.map((line) => `  ${line}`),
    ),
    exitCodesText,
  ];
  return `${parts.join('\n\n')}\n`;
}

const section = (name: string, lines: readonly string[]): string => `${name}:\n${lines.join('\n')}`;

function flagRows(flags: FlagTable): string[] {
  return Object.entries(flags).map(([name, flag]) => {
    const head = `  ${nameOf(name, flag)}`;
    const [first = '', ...rest] = wrap(flag.doc, COLUMNS - FLAG_COLUMNS - 1);
    const indent = ' '.repeat(FLAG_COLUMNS + 1);
    const lines = [first, ...rest].join(`\n${indent}`);
    return head.length > FLAG_COLUMNS
      ? `${head}\n${indent}${lines}`
      : `${head.padEnd(FLAG_COLUMNS)} ${lines}`;
  });
}

function nameOf(name: string, { short, value }: Flag): string {
  const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
  return value === null ? names : `${names} ${value}`;
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
