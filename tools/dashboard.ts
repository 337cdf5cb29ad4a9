/** The dashboard for Grafana, made of one line for each panel. `tools/observability.test.ts` compares the chart's file with it. */

interface Panel {
  readonly title: string;
  /** As Grafana names units. */
  readonly unit: string;
  readonly expression: string;
  /** What a line is called. */
  readonly legend: string;
}

const CLUSTER = 'namespace="$namespace", sierradb_io_cluster="$cluster"';
const WINDOW = '$__rate_interval';

const of = (metric: string): string => `${metric}{${CLUSTER}}`;
const rate = (metric: string): string => `rate(${of(metric)}[${WINDOW}])`;
const quantile = (q: number, metric: string): string =>
  `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`)}))`;

const panel = (title: string, unit: string, expression: string, legend: string): Panel => ({
  ...{ title, unit, expression, legend },
});

const rows: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'How it is',
    [
      panel('Nodes that answer', 'short', `sum(up{${CLUSTER}})`, 'nodes'),
      panel(
        'Buckets without a leader',
        'short',
        `max(${of('sierradb_leaderless_buckets')})`,
        'buckets',
      ),
      panel(
        'Buckets led',
        'short',
        `sum by (pod) (sierradb_replicas{${CLUSTER}, role="leader"})`,
        '{{pod}}',
      ),
      panel(
        'Damaged buckets',
        'short',
        `sum by (pod) (${of('sierradb_quarantined_buckets')})`,
        '{{pod}}',
      ),
    ],
  ],
  [
    'What clients see',
    [
      panel(
        'Commands',
        'ops',
        `sum by (command) (${rate('sierradb_commands_total')})`,
        '{{command}}',
      ),
      panel(
        'Errors',
        'ops',
        `sum by (code) (rate(sierradb_commands_total{${CLUSTER}, code!="OK"}[${WINDOW}]))`,
        '{{code}}',
      ),
      panel('Appends, 99 of 100', 's', quantile(0.99, 'sierradb_append_seconds'), 'p99'),
      panel('Appends, half', 's', quantile(0.5, 'sierradb_append_seconds'), 'p50'),
      panel('Reads, 99 of 100', 's', quantile(0.99, 'sierradb_read_seconds'), 'p99'),
      panel('Connections', 'short', `sum by (pod) (${of('sierradb_connections')})`, '{{pod}}'),
      panel('Subscriptions', 'short', `sum by (pod) (${of('sierradb_subscriptions')})`, '{{pod}}'),
      panel(
        'Events pushed',
        'ops',
        `sum by (pod) (${rate('sierradb_events_pushed_total')})`,
        '{{pod}}',
      ),
    ],
  ],
  [
    'Copies',
    [
      panel(
        'Entries that followers lack',
        'short',
        `max by (pod) (${of('sierradb_replication_lag_entries_max')})`,
        '{{pod}}',
      ),
      panel(
        'Entries without a majority',
        'short',
        `sum by (pod) (${of('sierradb_uncommitted_entries')})`,
        '{{pod}}',
      ),
      panel(
        'Elections',
        'ops',
        `sum by (pod) (${rate('sierradb_elections_won_total')})`,
        '{{pod}}',
      ),
      panel(
        'Copied segments',
        'Bps',
        `sum by (pod) (${rate('sierradb_catch_up_bytes_total')})`,
        '{{pod}}',
      ),
    ],
  ],
  [
    'Disks',
    [
      panel('Syncs, 99 of 100', 's', quantile(0.99, 'sierradb_sync_seconds'), 'p99'),
      panel(
        'Journal in use',
        'percentunit',
        `max by (pod) (${of('sierradb_journal_fill_ratio')})`,
        '{{pod}}',
      ),
      panel(
        'Bytes in segments',
        'bytes',
        `sum by (pod) (${of('sierradb_segment_bytes')})`,
        '{{pod}}',
      ),
      panel(
        'Appends refused for space',
        'short',
        `max by (pod) (${of('sierradb_disk_full')})`,
        '{{pod}}',
      ),
    ],
  ],
  [
    'Processes',
    [
      panel('CPU', 'short', `sum by (pod) (${rate('process_cpu_seconds_total')})`, '{{pod}}'),
      panel('Memory', 'bytes', `sum by (pod) (${of('process_resident_memory_bytes')})`, '{{pod}}'),
      panel(
        'Event loop, 99 of 100',
        's',
        `max by (pod) (${of('nodejs_eventloop_lag_p99_seconds')})`,
        '{{pod}}',
      ),
      panel(
        'Reads from the cache',
        'percentunit',
        `sum(${rate('sierradb_cache_hits_total')}) / (sum(${rate('sierradb_cache_hits_total')}) + sum(${rate('sierradb_cache_misses_total')}))`,
        'hits',
      ),
    ],
  ],
  [
    'The operator',
    [
      panel(
        'Looks at clusters',
        'ops',
        `sum by (result) (rate(sierradb_operator_reconciles_total[${WINDOW}]))`,
        '{{result}}',
      ),
      panel(
        'How long they take, 99 of 100',
        's',
        `histogram_quantile(0.99, sum by (le) (rate(sierradb_operator_reconcile_seconds_bucket[${WINDOW}])))`,
        'p99',
      ),
      panel('Operators that lead', 'short', 'sum(sierradb_operator_is_leader)', 'leaders'),
      panel('Phases', 'short', 'sum by (phase) (sierradb_operator_cluster_phase)', '{{phase}}'),
    ],
  ],
];

export const expressions: readonly string[] = rows.flatMap(([, panels]) =>
  panels.map(({ expression }) => expression),
);

const datasource = { type: 'prometheus', uid: '${datasource}' };
const COLUMNS = 4;
const WIDTH = 24 / COLUMNS;
const HEIGHT = 7;

/** The text of the file. */
export function dashboardJson(): string {
  const panels: object[] = [];
  let y = 0;
  for (const [title, inner] of rows) {
    panels.push({
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: 24, h: 1 },
      panels: [],
    });
    y += 1;
    inner.forEach((each, at) => {
      const gridPos = {
        x: (at % COLUMNS) * WIDTH,
        y: y + Math.floor(at / COLUMNS) * HEIGHT,
        w: WIDTH,
        h: HEIGHT,
      };
      panels.push(panelOf(each, gridPos));
    });
    y += Math.ceil(inner.length / COLUMNS) * HEIGHT;
  }
  const numbered = panels.map((each, at) => ({ id: at + 1, ...each }));
  return `${JSON.stringify({ ...frame, panels: numbered }, null, 2)}\n`;
}

const panelOf = ({ title, unit, expression, legend }: Panel, gridPos: object): object => ({
  ...{ type: 'timeseries', title, datasource, gridPos },
  fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
  options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
  targets: [{ refId: 'A', datasource, expr: expression, legendFormat: legend }],
});

const variable = (name: string, query: string): object => ({
  ...{ name, type: 'query', datasource, query, refresh: 2, sort: 1 },
});

const frame = {
  ...{ uid: 'sierradb', title: 'SierraDB', tags: ['sierradb'], schemaVersion: 39 },
  ...{ editable: true, refresh: '30s', time: { from: 'now-1h', to: 'now' } },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus' },
      variable('namespace', 'label_values(sierradb_info, namespace)'),
      variable(
        'cluster',
        'label_values(sierradb_info{namespace="$namespace"}, sierradb_io_cluster)',
      ),
    ],
  },
};
