import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { commandBlocks } from './readme-commands.ts';

const root = join(import.meta.dirname, '..');

describe('commands of a document', () => {
  it('are those of blocks with a name, without what they print', () => {
    const fence = '```';
    const text = `<!-- run: one -->\n\n${fence}console\n$ a \\\n    b\nprinted\n$ c\n${fence}\n\n${fence}console\n$ d\n${fence}\n`;
    assert.deepEqual(commandBlocks(text), [{ name: 'one', commands: ['a \\\n    b', 'c'] }]);
  });

  it('of README.md name files that are there', () => {
    const blocks = commandBlocks(readFileSync(join(root, 'README.md'), 'utf8'));
    const names = blocks.map(({ name }) => name);
    assert.deepEqual(names, [
      ...['install with helm', 'install with kubectl', 'first append', 'watch', 'scale'],
      ...['upgrade', 'delete', 'uninstall with helm'],
    ]);
    const files = blocks
      .flatMap(({ commands }) => commands)
      .flatMap((command) => command.match(/\b(?:charts|manifests)\/\S+/g) ?? []);
    assert.ok(files.length > 3);
    for (const file of files)
      assert.doesNotThrow(
        () => readFileSync(join(root, file, file.startsWith('charts/') ? 'Chart.yaml' : '')),
        file,
      );
  });

  it('of README.md put the image where manifests/install.yaml has it', () => {
    const install = readFileSync(join(root, 'manifests/install.yaml'), 'utf8');
    assert.equal(install.split('image: "sierradb:0.1.0"').length, 2);
    assert.equal(install.split('value: "sierradb:0.1.0"').length, 2);
  });
});
