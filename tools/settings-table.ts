import { flagsOf } from '../node/src/config/print.ts';
import { settingKeys, settingOf, type SettingKey } from '../node/src/config/settings.ts';

/** The table of settings in README.md, in Markdown. `tidy.test.ts` compares, and writes it with UPDATE_DOCS=1. */
export function settingsTable(): string {
  return [
    '| key | flag | default | what it does |',
    '| --- | --- | --- | --- |',
    ...settingKeys.map(rowOf),
  ].join('\n');
}

function rowOf(key: SettingKey): string {
  const { default: value, doc, noEffect, choices } = settingOf(key);
  const limits = choices?.map(code).join(', ') ?? boundsOf(key);
  const effect = noEffect === undefined ? '' : ` *No effect: ${noEffect}.*`;
  const text = `${doc}${limits === '' ? '' : ` ${limits}.`}${effect}`;
  return `| ${code(key)} | ${flagsOf(key).map(code).join(' ')} | ${value === '' ? '' : code(value)} | ${text} |`;
}

function boundsOf(key: SettingKey): string {
  const { min, max } = settingOf(key);
  return min === undefined || max === undefined ? '' : `${code(min)} to ${code(max)}`;
}

function code(text: string): string {
  return `\`${text}\``;
}
