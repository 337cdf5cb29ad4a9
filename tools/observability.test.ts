/** Alerts and dashboard ask for metrics that there are, and lead to places of the runbook. UPDATE_DOCS=1 writes the dashboard. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { load } from 'js-yaml';
import type { Registry } from 'prom-client';

import { NodeMetrics } from '../node/src/http/metrics.ts';
import { OperatorMetrics } from '../operator/src/metrics.ts';
import { dashboardJson, expressions } from './dashboard.ts';
import { anchorsOf } from './markdown.ts';

const root = join(import.meta.dirname, '..');
const files = join(root, 'charts/sierradb-operator/files');

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

const { groups } = load(readFileSync(join(files, 'alerts.yaml'), 'utf8')) as {
  groups: readonly { readonly rules: readonly Alert[] }[];
};
const alerts = groups.flatMap(({ rules }) => rules);

/** Names under which series appear; those of histograms with their endings. */
async function seriesNames(): Promise<ReadonlySet<string>> {
  const registries: readonly Registry[] = [
    new NodeMetrics('0').registry,
    new OperatorMetrics({ queueDepth: () => 0 }).registry,
  ];
  const texts = await Promise.all(registries.map((registry) => registry.metrics()));
  const types = texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]);
  return new Set([
    'up',
    ...types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
    ),
  ]);
}

const named = (expression: string): string[] =>
  expression
    .match(/\b(?:sierradb|process|nodejs)_\w+|\bup\b/g)
    ?.filter((name) => name !== 'sierradb_io_cluster') ?? [];

describe('alerts and dashboard', () => {
  it('ask for metrics that nodes and operator have', async () => {
    const known = await seriesNames();
    for (const expression of [...expressions, ...alerts.map(({ expr }) => expr)]) {
      const names = named(expression);
      assert.ok(names.length > 0, expression);
      for (const name of names) assert.ok(known.has(name), name);
    }
  });

  it('lead from every alert to a heading of the runbook that is there', () => {
    const anchors = anchorsOf(readFileSync(join(root, 'docs/runbook.md'), 'utf8'));
    for (const { alert, annotations, labels } of alerts) {
      const [, anchor = ''] = /^docs\/runbook\.md#(.+)$/.exec(annotations.runbook) ?? [];
      assert.ok(anchors.has(anchor), `${alert}: ${annotations.runbook}`);
      assert.match(labels.severity, /^(critical|warning)$/);
    }
    assert.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  });

  it('are in the chart as they are made', () => {
    const file = join(files, 'dashboard.json');
    if (process.env['UPDATE_DOCS'] === '1') writeFileSync(file, dashboardJson());
    assert.equal(readFileSync(file, 'utf8'), dashboardJson(), 'run the test with UPDATE_DOCS=1');
  });
});
