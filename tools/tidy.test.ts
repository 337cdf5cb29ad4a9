/** Holds the repository's texts and tables against each other. UPDATE_DOCS=1 writes what can be derived. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, it } from 'node:test';
import { clients } from '../e2e/clients/client-list.ts';
import { clientTable, recorded, tableInReadme } from '../e2e/clients/results.ts';
import { commands } from '../cli/run-command.ts';
import { clientCommands } from '../node/src/client-commands.ts';
import { flagsOf, usage } from '../node/src/config/print.ts';
import { settingKeys } from '../node/src/config/settings.ts';
import { importTable, pureFiles } from './import-table.ts';
import { settingsTable } from './settings-table.ts';

process.chdir(join(import.meta.dirname, '..'));

const LINES_MAX = 600;
/** Files that may be longer, each with its reason. */
const longFiles: Readonly<Record<string, string>> = {};

const manifest = JSON.parse(read('package.json')) as {
  version: string;
  dependencies: Record<string, string>;
};

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

function filesIn(...folders: readonly string[]): string[] {
  return folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
    );
}

const sources = filesIn(
  'bench',
  'bin',
  'cli',
  'client',
  'common',
  'e2e',
  'node',
  'operator',
  'tools',
  '.ci',
).filter((path) => /\.(ts|cjs|js)$|\.ci\/run$/.test(path));
const shipped = sources.filter(
  (path) =>
    /^(cli|client|common|node|operator)\//.test(path) && !/\.test\.ts$|\/testing\//.test(path),
);
const documents = [
  ...readdirSync('.').filter((name) => name.endsWith('.md')),
  ...filesIn('docs', 'bench').filter((path) => path.endsWith('.md')),
];

describe('sources', () => {
  it('leave no notes to be done later', () => {
    // Split, so that this file does not find itself.
    const note = new RegExp(['TO', 'DO|FIX', 'ME|X', 'XX'].join(''));
    assert.deepEqual(
      sources.filter((path) => note.test(read(path))),
      [],
    );
  });

  it('fit in one sitting', () => {
    const long = sources.filter((path) => read(path).split('\n').length > LINES_MAX + 1);
    assert.deepEqual(long, Object.keys(longFiles));
  });

  it('ship with the packages they import, and with no others', () => {
    const statement =
      /^(?:import|export)\b[^;]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm;
    const names = shipped
      .flatMap((path) => [...read(path).matchAll(statement)])
      .map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? '')
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:'));
    const imported = new Set(names.map(packageOf));
    assert.deepEqual([...imported].sort(), Object.keys(manifest.dependencies).sort());
  });
});

/** `@scope/name/sub` → `@scope/name`. */
function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

describe('the import table', () => {
  it('has every part of the node', () => {
    const parts = readdirSync('node/src')
      .filter((name) => !name.endsWith('.test.ts') && name !== 'testing')
      .map((name) => `node/src/${name}`);
    const known = new Set(importTable.map(({ part }) => part));
    assert.deepEqual(
      parts.filter((part) => !known.has(part)),
      [],
    );
  });

  it('is free of cycles', () => {
    const rows = new Map(importTable.map(({ part, mayImport }) => [part, mayImport]));
    const visit = (part: string, above: readonly string[]): void => {
      assert.ok(!above.includes(part), [...above, part].join(' → '));
      for (const next of rows.get(part) ?? []) visit(next, [...above, part]);
    };
    for (const { part } of importTable) visit(part, []);
  });

  it('names pure files that exist', () => {
    for (const path of pureFiles.filter((glob) => !glob.includes('*'))) {
      assert.ok(existsSync(path), path);
    }
  });
});

describe('the program', () => {
  it('knows the commands of cli/ by name', () => {
    assert.deepEqual(
      commands.map(({ name }) => name),
      clientCommands,
    );
    for (const name of clientCommands) assert.ok(usage().includes(`sierradb ${name} `), name);
  });
});

describe('README.md', () => {
  const table = /(?<=<!-- settings -->\n\n)[^]*?(?=\n\n<!-- \/settings -->)/;

  it('has the table of settings', () => {
    const readme = read('README.md');
    assert.match(readme, table);
    if (process.env['UPDATE_DOCS'] === '1') {
      writeFileSync(
        'README.md',
        readme.replace(table, () => settingsTable()),
      );
    }
    assert.equal(table.exec(read('README.md'))?.[0], settingsTable());
  });

  it('has the table of clients, as the matrix in e2e/clients last showed it', () => {
    assert.deepEqual(
      recorded().map(({ client }) => client),
      clients.map(({ name }) => name),
    );
    assert.equal(tableInReadme(), clientTable(recorded()));
  });

  it('names every flag', () => {
    const readme = read('README.md');
    const flags = settingKeys.flatMap(flagsOf).filter((flag) => flag.startsWith('--'));
    for (const flag of [...flags, '--config', '--set', '--help', '--version']) {
      assert.ok(readme.includes(flag), flag);
    }
  });
});

describe('documents', () => {
  it('link only to what is there', () => {
    const broken = documents.flatMap((path) =>
      [...read(path).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target = '']) => normalize(join(dirname(path), target)))
        .filter((target) => !existsSync(target))
        .map((target) => `${path}: ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  it('ARCHITECTURE.md names only files that are there', () => {
    const named = [...read('ARCHITECTURE.md').matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)].map(
      ([, path = '']) => path,
    );
    assert.ok(named.length > 10);
    assert.deepEqual(
      named.filter((path) => !existsSync(path) && !existsSync(join('node/src', path))),
      [],
    );
  });

  it('CHANGELOG.md has the version', () => {
    assert.ok(read('CHANGELOG.md').includes(`\n## ${manifest.version}`));
  });

  it('decisions are numbered without gaps and have the four parts', () => {
    const decisions = readdirSync('docs/adr')
      .filter((name) => /^\d{4}-/.test(name))
      .sort();
    decisions.forEach((name, index) => {
      assert.equal(Number(name.slice(0, 4)), index + 1, name);
      for (const part of ['Status', 'Context', 'Decision', 'Consequences']) {
        assert.match(read(`docs/adr/${name}`), new RegExp(`^## ${part}$`, 'm'), `${name}: ${part}`);
      }
    });
  });
});
