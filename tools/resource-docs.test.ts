/** docs/kubernetes.md has the fields and conditions of the resource, and leads to places of the runbook. UPDATE_DOCS=1 writes the tables. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { anchorsOf, demandDerived } from './markdown.ts';
import { conditionsTable, specTable, statusTable } from './resource-docs.ts';

const docs = join(import.meta.dirname, '..', 'docs');
const reference = join(docs, 'kubernetes.md');

describe('docs/kubernetes.md', () => {
  it('has every field of the spec', () => {
    assert.match(
      specTable(),
      /`storage\.retention\.whenDeleted` \| `Retain`, `Delete` \| `"Retain"`/,
    );
    demandDerived(reference, 'spec', specTable());
  });

  it('has every field of the status', () => {
    demandDerived(reference, 'status', statusTable());
  });

  it('has every condition and reason', () => {
    demandDerived(reference, 'conditions', conditionsTable());
  });

  it('leads to headings of the runbook that are there', () => {
    const runbook = readFileSync(join(docs, 'runbook.md'), 'utf8');
    const anchors = anchorsOf(runbook);
    const links = [...readFileSync(reference, 'utf8').matchAll(/\(runbook\.md#([^)]+)\)/g)];
    assert.ok(links.length > 5);
    for (const [, anchor = ''] of links) assert.ok(anchors.has(anchor), anchor);
  });
});
