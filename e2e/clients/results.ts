/**
 * What the matrix last showed: `results.json`, and the README's table, which is made from it.
 *
 * `UPDATE_DOCS=1 npm run test:process -- e2e/clients/matrix.test.ts` writes both.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { commandChecks, subscriptionChecks, type Check, type Identity } from './checks.ts';
import { clients } from './client-list.ts';
import type { Run } from './run-driver.ts';

const file = join(import.meta.dirname, 'results.json');
const readme = join(import.meta.dirname, '..', '..', 'README.md');
const place = /(?<=<!-- clients -->\n\n)[^]*?(?=\n\n<!-- \/clients -->)/;

/** Of each check `passed`, or why it is absent. */
export type Showed = Readonly<Record<Check, string>>;

export type Result = { readonly client: string } & (
  (Identity & { readonly showed: Showed }) | { readonly skipped: string }
);

/** What is recorded of a run; of a failed check the message. */
export function resultOf(client: string, run: Run): Result {
  const showed = Object.entries(run.outcomes).map(([check, outcome]) => {
    if (outcome.outcome === 'passed') return [check, 'passed'];
    return [check, outcome.outcome === 'absent' ? outcome.reason : `failed: ${outcome.message}`];
  });
  const { version, protocol } = run;
  return { client, version, protocol, showed: Object.fromEntries(showed) as Showed };
}

export function recorded(): readonly Result[] {
  return JSON.parse(readFileSync(file, 'utf8')) as Result[];
}

/** Replaces the record, and the table in the README. */
export function record(results: readonly Result[]): void {
  writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(
    readme,
    readFileSync(readme, 'utf8').replace(place, () => clientTable(results)),
  );
}

/** The table as it stands in the README. */
export function tableInReadme(): string | undefined {
  return place.exec(readFileSync(readme, 'utf8'))?.[0];
}

export function clientTable(results: readonly Result[]): string {
  return [
    '| client | version | RESP | commands | subscriptions |',
    '| --- | --- | --- | --- | --- |',
    ...results.map((result) => `| ${cellsOf(result).join(' | ')} |`),
  ].join('\n');
}

function cellsOf(result: Result): readonly string[] {
  if ('skipped' in result) return [result.client, '', '', `not tested: ${result.skipped}`, ''];
  const { client, version, protocol, showed } = result;
  const events = clients.find(({ name }) => name === client)?.events;
  const subscriptions = cellOf(showed, subscriptionChecks);
  return [
    ...[client, version, String(protocol), cellOf(showed, commandChecks)],
    subscriptions === 'yes' && events !== undefined ? `yes: ${events}` : subscriptions,
  ];
}

/** `yes`, or what stands in the way, once each. */
function cellOf(showed: Showed, checks: readonly Check[]): string {
  const others = checks.map((check) => showed[check]).filter((text) => text !== 'passed');
  return others.length === 0 ? 'yes' : [...new Set(others)].join('; ');
}
