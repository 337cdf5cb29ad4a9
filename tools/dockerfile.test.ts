/** The image can't be built where no container engine is; what is easily forgotten in its files is checked here. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const root = join(import.meta.dirname, '..');
const linesOf = (name: string): string[] => readFileSync(join(root, name), 'utf8').split('\n');

/** What `COPY` takes from the checkout. */
const copied = linesOf('Dockerfile')
  .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
  .flatMap((line) => line.split(' ').slice(1, -1));

describe('the Dockerfile', () => {
  it('copies every folder that is compiled', () => {
    const { include } = JSON.parse(linesOf('tsconfig.build.json').join('\n')) as {
      include: string[];
    };
    for (const folder of include) assert.ok(copied.includes(folder), folder);
  });

  it('copies nothing that is missing, or that .dockerignore keeps out', () => {
    const letIn = linesOf('.dockerignore').map((line) => line.replace('!', ''));
    for (const path of copied) {
      assert.ok(existsSync(join(root, path)), path);
      assert.ok(letIn.includes(path), path);
    }
  });
});
