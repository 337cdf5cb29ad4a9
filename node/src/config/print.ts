/** The settings as people read them: the effective configuration, what is wrong with it, the help text. */
import { stringify } from 'smol-toml';
import type { EffectiveSetting } from './compile.ts';
import {
  environmentName,
  settingKeys,
  settingOf,
  type SettingKey,
  type SettingValue,
} from './settings.ts';
import type { Problem } from './sources.ts';
import { formatAddress } from './values.ts';

/** TOML that can be given back with `--config`, each line with the place its value came from. */
export function formatEffective(effective: readonly EffectiveSetting[]): string {
  const lines: string[] = [];
  let open = '';
  for (const { key, value, source } of effective) {
    const { noEffect } = settingOf(key);
    if (noEffect !== undefined && source === 'default') continue;
    const [section, name] = splitKey(key);
    if (section !== open) lines.push('', `[${section}]`);
    open = section;
    const origin = noEffect === undefined ? source : `${source}; no effect: ${noEffect}`;
    const line = isUnset(value) ? `# ${name} is unset` : assignment(name, value);
    lines.push(`${line.padEnd(40)} # ${origin}`);
  }
  return `${lines.join('\n')}\n`;
}

function splitKey(key: SettingKey): readonly [section: string, name: string] {
  const at = key.indexOf('.');
  return at === -1 ? ['', key] : [key.slice(0, at), key.slice(at + 1)];
}

function isUnset(value: SettingValue): boolean {
  return value === '' || (Array.isArray(value) && value.length === 0);
}

function assignment(name: string, value: SettingValue): string {
  return stringify({ [name]: plain(value) }).trim();
}

function plain(value: SettingValue): unknown {
  if (typeof value !== 'object') return value;
  if ('host' in value) return formatAddress(value);
  return value.map((item) => (typeof item === 'number' ? item : formatAddress(item)));
}

export function formatProblems(problems: readonly Problem[]): string {
  const lines = problems.map(({ source, key, reason }) =>
    [source, key, reason].filter((part) => part !== null).join(': '),
  );
  const many = lines.length > 1;
  return `The configuration has ${many ? `${lines.length} mistakes` : 'a mistake'}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** The setting's own flags with their dashes, the long one first. */
export function flagsOf(key: SettingKey): string[] {
  const { flag, short } = settingOf(key);
  if (flag === undefined) return [];
  return short === undefined ? [`--${flag}`] : [`--${flag}`, `-${short}`];
}

export function usage(): string {
  const rows = settingKeys
    .filter((key) => settingOf(key).flag !== undefined)
    .map((key) => helpRow(flagsOf(key).reverse().join(', '), settingOf(key)));
  const example = environmentName('network.client_address');
  return `Usage: sierradb [start] [flags]      run a node
       sierradb config [flags]       print the effective configuration and where it came from
       sierradb verify DIR [--json]  say what is damaged in a data directory, and what would be lost
       sierradb repair DIR [--yes]   the same, and with --yes do it
       sierradb cluster recover --unsafe DIR [--yes]
                                     when a majority is lost: make one survivor a cluster of one

With a running node; "sierradb COMMAND --help" says more:
       sierradb append STREAM NAME [PAYLOAD]
       sierradb read STREAM
       sierradb subscribe STREAM… | --all
       sierradb info [--json]
       sierradb cluster status [--json]

Flags of start and config:
${rows.join('\n')}
${helpRow('-c, --config', { doc: 'Read settings from this TOML file.', default: './sierradb.toml, if there' })}
${helpRow('--set KEY=VALUE', { doc: 'Any setting by its key.', default: '' })}
${helpRow('-h, --help', { doc: 'Print this.', default: '' })}
${helpRow('--version', { doc: 'Print the version.', default: '' })}

Every setting can also be given in the environment: network.client_address is ${example}.
Flags win over the environment, the environment over the file. All keys: \`sierradb config\` and README.md.
`;
}

function helpRow(flags: string, { doc, default: value }: { doc: string; default: string }): string {
  return `  ${flags.padEnd(24)} ${doc.replaceAll('`', '')}${value === '' ? '' : ` [${value}]`}`;
}
