/** Pieces of documents that are derived from something else, between `<!-- name -->` and `<!-- /name -->`. UPDATE_DOCS=1 writes them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/** Fails when `file` has something else than `text` between the marks of `name`, or has no such marks. */
export function demandDerived(file: string, name: string, text: string): void {
  const between = new RegExp(`(?<=<!-- ${name} -->\\n\\n)[^]*?(?=\\n\\n<!-- /${name} -->)`);
  const document = readFileSync(file, 'utf8');
  assert.match(document, between, `${file} has no <!-- ${name} -->`);
  if (process.env['UPDATE_DOCS'] === '1') {
    writeFileSync(
      file,
      document.replace(between, () => text),
    );
  }
  const found = between.exec(readFileSync(file, 'utf8'))?.[0];
  assert.equal(found, text, `${file}: run the test with UPDATE_DOCS=1`);
}

export const code = (text: string): string => `\`${text}\``;

/** Bars would begin another cell. */
export const cell = (text: string): string => text.replaceAll('|', '\\|');

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lineOf = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [lineOf(head), lineOf(head.map(() => '---')), ...rows.map(lineOf)].join('\n');
}

/** Of its headings, as GitHub makes them. */
export function anchorsOf(markdown: string): ReadonlySet<string> {
  const headings = [...markdown.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}
