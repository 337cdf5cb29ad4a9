/** The three places where settings are given. Each is read into the same form; nothing is interpreted here. */
import { parse, TomlError } from 'smol-toml';
import { nearest } from '../../../common/nearest.ts';
import {
  environmentName,
  isSettingKey,
  settingKeys,
  settingOf,
  type SettingKey,
} from './settings.ts';

/** One setting as it was written, and where: a file's name, a variable's or a flag's. */
export interface Given {
  readonly key: SettingKey;
  readonly raw: unknown;
  readonly source: string;
}

/** One mistake. `key` is null where the mistake is not in a setting. */
export interface Problem {
  readonly source: string;
  readonly key: string | null;
  readonly reason: string;
}

export interface Gathered {
  readonly given: Given[];
  readonly problems: Problem[];
  readonly warnings: string[];
}

export const emptyGathered = (): Gathered => ({ given: [], problems: [], warnings: [] });

/** Variables that are read by others than the table of settings. */
const otherVariables = ['SIERRADB_CONFIG', 'SIERRADB_ADDRESS'];

/** Kubernetes puts these into every container beside a Service named `sierradb`. */
const serviceLink =
  /^SIERRADB_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_TCP(?:_\w+)?)?)$/;

/** `name` is the file's, for messages. */
export function fromToml(name: string, text: string): Gathered {
  const gathered = emptyGathered();
  let root: Record<string, unknown>;
  try {
    root = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const sentence = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? '';
    const source = `${name}:${error.line}:${error.column}`;
    gathered.problems.push({ source, key: null, reason: `not valid TOML: ${sentence}` });
    return gathered;
  }
  for (const [section, content] of Object.entries(root)) {
    if (isTable(content)) {
      for (const [key, raw] of Object.entries(content))
        addKey(gathered, `${section}.${key}`, raw, name);
    } else {
      addKey(gathered, section, content, name);
    }
  }
  return gathered;
}

export function fromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Gathered {
  const gathered = emptyGathered();
  const known = new Map<string, SettingKey>();
  for (const key of settingKeys) {
    // The first name has the last word, so that it wins over its older forms.
    for (const name of settingOf(key).alsoEnvironment ?? []) known.set(name, key);
    known.set(environmentName(key), key);
  }
  for (const [name, key] of known) {
    const raw = environment[name];
    if (raw !== undefined && raw !== '') gathered.given.push({ key, raw, source: name });
  }
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('SIERRADB_') || known.has(name)) continue;
    if (otherVariables.includes(name) || serviceLink.test(name)) continue;
    // Not an error: whoever sets variables for a whole machine or pod may mean another program.
    gathered.warnings.push(`unknown environment variable ${name}${meant(name, [...known.keys()])}`);
  }
  return gathered;
}

/** What stands on the command line in front of and between the settings. */
export interface CommandLine extends Gathered {
  readonly positionals: string[];
  /** `--config FILE`. */
  configFile: string | null;
  help: boolean;
  version: boolean;
  /** `--json` of verify, repair and recover: the report for programs. */
  json: boolean;
  /** `--yes` of repair and recover: do it. */
  yes: boolean;
  /** `--unsafe` of recover: acknowledged events may be lost by it. */
  unsafe: boolean;
  /** `--lose-missing` of recover: buckets that are not there become empty. */
  'lose-missing': boolean;
}

/** Flags without a value. */
const switches = ['help', 'version', 'json', 'yes', 'unsafe', 'lose-missing'] as const;
const plainFlags: readonly string[] = ['config', 'set', ...switches];

const shortFlags: ReadonlyMap<string, string> = new Map([
  ['c', 'config'],
  ['h', 'help'],
  ...settingKeys.flatMap((key): [string, string][] => {
    const { short, flag } = settingOf(key);
    return short === undefined || flag === undefined ? [] : [[short, flag]];
  }),
]);

const flagKeys: ReadonlyMap<string, SettingKey> = new Map(
  settingKeys.flatMap((key): [string, SettingKey][] => {
    const { flag } = settingOf(key);
    return flag === undefined ? [] : [[flag, key]];
  }),
);

/**
 * Reads `--flag value`, `--flag=value`, `-f value`, `-fvalue`, and words. `node:util`'s `parseArgs` stops at the first
 * mistake; here all of them are collected.
 */
export function fromFlags(given: readonly string[]): CommandLine {
  const line: CommandLine = {
    ...emptyGathered(),
    positionals: [],
    configFile: null,
    help: false,
    version: false,
    json: false,
    yes: false,
    unsafe: false,
    'lose-missing': false,
  };
  const rest = [...given];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (!word.startsWith('-') || word === '-') line.positionals.push(word);
    else addFlag(line, word, rest);
  }
  return line;
}

function addFlag(line: CommandLine, word: string, rest: string[]): void {
  const { name, inline } = splitFlag(word);
  const source = word.startsWith('--') ? `--${name}` : word.slice(0, 2);
  const key = flagKeys.get(name);
  if (key === undefined && !plainFlags.includes(name)) {
    const known = [...flagKeys.keys(), ...plainFlags].map((flag) => `--${flag}`);
    line.problems.push({ source, key: null, reason: `unknown flag${meant(source, known)}` });
    return;
  }
  const flag = switches.find((known) => known === name);
  if (flag !== undefined) line[flag] = true;
  else addValue(line, source, name, key, inline ?? takeValue(key, rest));
}

function addValue(
  line: CommandLine,
  source: string,
  name: string,
  key: SettingKey | undefined,
  raw: string | undefined,
): void {
  if (raw === undefined) line.problems.push({ source, key: key ?? null, reason: 'needs a value' });
  else if (key !== undefined) line.given.push({ key, raw, source });
  else if (name === 'config') line.configFile = raw;
  else addAssignment(line, raw);
}

function addAssignment(line: CommandLine, raw: string): void {
  const at = raw.indexOf('=');
  if (at > 0) addKey(line, raw.slice(0, at), raw.slice(at + 1), '--set');
  else line.problems.push({ source: '--set', key: null, reason: `needs KEY=VALUE, but is ${raw}` });
}

function splitFlag(word: string): { name: string; inline: string | undefined } {
  if (!word.startsWith('--')) {
    const letter = word.slice(1, 2);
    const inline = word.slice(2).replace(/^=/, '');
    return {
      name: shortFlags.get(letter) ?? word.slice(1),
      inline: inline === '' ? undefined : inline,
    };
  }
  const at = word.indexOf('=');
  if (at === -1) return { name: word.slice(2), inline: undefined };
  return { name: word.slice(2, at), inline: word.slice(at + 1) };
}

/** A switch needs no value: `--mdns` alone is `--mdns true`. */
function takeValue(key: SettingKey | undefined, rest: string[]): string | undefined {
  const next = rest[0];
  if (key !== undefined && settingOf(key).kind === 'boolean') {
    return next !== undefined && /^(true|false)$/i.test(next) ? rest.shift() : 'true';
  }
  return next === undefined || (next.startsWith('-') && next.length > 1) ? undefined : rest.shift();
}

function addKey(gathered: Gathered, key: string, raw: unknown, source: string): void {
  if (isSettingKey(key)) gathered.given.push({ key, raw, source });
  else if (key === 'nodes') gathered.problems.push({ source, key, reason: nodesAreNamed });
  else gathered.problems.push({ source, key, reason: `unknown key${meant(key, settingKeys)}` });
}

const nodesAreNamed = 'each node has a configuration of its own; network.peers names all of them';

function meant(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === null ? '' : `; did you mean ${near}?`;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}
