/** The worked examples in `docs/formats/` are what the code writes. UPDATE_DOCS=1 puts in the bytes, comments stay. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { before, describe, it } from 'node:test';

import type { MemoryFileSystem } from './memory-file-system.ts';
import { exampleDirectory } from './testing/example-directory.ts';

const ROW_BYTES = 16;
const TITLE = /^([\w/]+\.\w+), (?:(\d+) bytes|bytes (\d+) to (\d+))$/;
const ROW = /^( *)(\d+) {2}((?:(?:[0-9a-f]{2}|\?\?) )+) *(.*)$/;

const pageUrl = (page: string): URL => new URL(`../../../docs/formats/${page}.md`, import.meta.url);

const hex = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `${byte.toString(16).padStart(2, '0')} `).join('');

describe('examples in docs/formats', () => {
  let files: MemoryFileSystem;

  before(async () => {
    files = await exampleDirectory();
  });

  for (const page of ['frame', 'segment', 'journal']) {
    it(`${page}.md shows the bytes of the example directory`, async () => {
      const text = await readFile(pageUrl(page), 'utf8');
      const written = await withRealBytes(text, files);
      if (process.env['UPDATE_DOCS'] === '1') await writeFile(pageUrl(page), written);
      else assert.equal(text, written);
    });
  }

  it('directory.md shows its identity and its files', async () => {
    const text = await readFile(pageUrl('directory'), 'utf8');
    const identity = (await files.readFile('/data/identity.json')).toString();
    const written = text.replace(/```json\n[^]*?```/, `\`\`\`json\n${identity}\`\`\``);
    if (process.env['UPDATE_DOCS'] === '1') await writeFile(pageUrl('directory'), written);
    else assert.equal(text, written);
    for (const path of await namesBelow(files, '/data')) {
      const name = path.split('/').at(-1) ?? '';
      assert.ok(text.includes(name.replace(/^\d+/, (digits) => '0'.repeat(digits.length))), name);
    }
  });
});

/** The page with the bytes of each row as they are in the file; fails where a row that is not zero is not shown. */
async function withRealBytes(text: string, files: MemoryFileSystem): Promise<string> {
  let shown: ShownFile | null = null;
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const title = TITLE.exec(line);
    if (title !== null) {
      shown?.assertComplete();
      shown = await ShownFile.open(files, title);
    } else if (line.startsWith('```')) {
      shown?.assertComplete();
      shown = null;
    }
    const row = shown === null ? null : ROW.exec(`${line} `);
    lines.push(row === null || shown === null ? line : shown.row(row));
  }
  return lines.join('\n');
}

class ShownFile {
  readonly #name: string;
  readonly #bytes: Buffer;
  readonly #from: number;
  readonly #to: number;
  readonly #rows = new Set<number>();

  private constructor(name: string, bytes: Buffer, from: number, to: number) {
    this.#name = name;
    this.#bytes = bytes;
    this.#from = from;
    this.#to = to;
  }

  static async open(files: MemoryFileSystem, title: RegExpExecArray): Promise<ShownFile> {
    const [, name = '', length, from = '0', to = length] = title;
    const bytes = await files.readFile(`/data/${name}`);
    if (length !== undefined) assert.equal(Number(length), bytes.length, name);
    return new ShownFile(name, bytes, Number(from), Number(to));
  }

  row(row: RegExpExecArray): string {
    const [, indent = '', offset = '', , comment = ''] = row;
    const at = Number(offset);
    this.#rows.add(at);
    const bytes = this.#bytes.subarray(at, Math.min(at + ROW_BYTES, this.#to));
    const line = `${indent}${offset}  ${hex(bytes).padEnd(3 * ROW_BYTES)}  ${comment}`;
    return line.trimEnd();
  }

  assertComplete(): void {
    for (let at = this.#from; at < this.#to; at += ROW_BYTES) {
      const isZero = this.#bytes.subarray(at, at + ROW_BYTES).every((byte) => byte === 0);
      assert.ok(isZero || this.#rows.has(at), `${this.#name}: byte ${at} is not shown`);
    }
  }
}

async function namesBelow(files: MemoryFileSystem, folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of await files.list(folder)) {
    const path = `${folder}/${name}`;
    names.push(
      ...((await files.sizeOf(path).catch(() => null)) === null
        ? await namesBelow(files, path)
        : [path]),
    );
  }
  return names;
}
