/**
 * Who may import whom (ARCHITECTURE.md, "Boundaries"). `eslint.config.js` enforces the table, `tools/tidy.test.ts` checks that
 * every folder is in it. A part may always import itself.
 *
 * An append flows `resp → cluster → engine → replication → storage`; nothing imports leftwards. `subscriptions/` stands
 * between `resp/` and `cluster/`, `http/` beside `resp/`.
 */
export interface ImportRow {
  /** Folder, or single file, from the repository's root. */
  readonly part: string;
  /** The other parts it may import. */
  readonly mayImport: readonly string[];
}

const common = 'common';
const client = 'client';
const cli = 'cli';
const storage = 'node/src/storage';
const replication = 'node/src/replication';
const engine = 'node/src/engine';
const cluster = 'node/src/cluster';
const subscriptions = 'node/src/subscriptions';
const resp = 'node/src/resp';
const http = 'node/src/http';
const config = 'node/src/config';
const configDoor = 'node/src/config.ts';
const startError = 'node/src/start-error.ts';
const version = 'node/src/version.ts';
const library = 'node/src/library';
const libraryDoor = 'node/src/index.ts';
const server = 'node/src/server.ts';
const parts = 'node/src/parts.ts';
const heapGrowth = 'node/src/heap-growth.ts';
const maintenance = 'node/src/maintenance.ts';
const clientCommands = 'node/src/client-commands.ts';
const program = 'node/src/program.ts';
const main = 'node/src/main.ts';

const kube = 'operator/src/kube';
const nodes = 'operator/src/nodes';
const api = 'operator/src/api';
const resources = 'operator/src/resources';
const plan = 'operator/src/plan';
const status = 'operator/src/status';
const reconcile = 'operator/src/reconcile';
const operatorConfig = 'operator/src/config.ts';
const operatorMetrics = 'operator/src/metrics.ts';
const operatorServer = 'operator/src/server.ts';
const manager = 'operator/src/manager.ts';
const operatorMain = 'operator/src/main.ts';

const node: readonly string[] = [storage, replication, engine, cluster, subscriptions, resp, http];

export const importTable: readonly ImportRow[] = [
  { part: common, mayImport: [] },
  // The client shares no code with the node: it runs where no node is.
  { part: client, mayImport: [common] },
  // The commands for people talk to a node as any client does; they start without loading one.
  { part: cli, mayImport: [common, client] },
  { part: storage, mayImport: [common] },
  { part: replication, mayImport: [common, storage] },
  { part: engine, mayImport: [common, storage, replication] },
  { part: cluster, mayImport: [common, storage, replication, engine] },
  { part: subscriptions, mayImport: [common, engine, cluster] },
  { part: resp, mayImport: [common, storage, replication, engine, cluster, subscriptions] },
  { part: http, mayImport: [common, storage, replication, engine, cluster, subscriptions, resp] },
  // What is configured are the options of the parts; the parts know nothing of configuration.
  { part: config, mayImport: [common, storage, engine] },
  { part: configDoor, mayImport: [common, config] },
  { part: startError, mayImport: [configDoor, storage] },
  { part: version, mayImport: [] },
  { part: library, mayImport: [common, engine, subscriptions] },
  { part: libraryDoor, mayImport: [common, engine, library] },
  { part: server, mayImport: [common, ...node, config, configDoor, startError] },
  { part: heapGrowth, mayImport: [] },
  { part: parts, mayImport: [common, ...node, server, heapGrowth] },
  { part: maintenance, mayImport: [common, storage, cluster] },
  {
    part: program,
    mayImport: [
      ...[common, config, configDoor, startError, version, server, parts, heapGrowth, maintenance],
      clientCommands,
    ],
  },
  { part: clientCommands, mayImport: [] },
  { part: main, mayImport: [cli, clientCommands, program] },

  // The operator and the node never import each other.
  { part: kube, mayImport: [common] },
  { part: nodes, mayImport: [common] },
  { part: api, mayImport: [common, kube] },
  { part: plan, mayImport: [common, api, resources] },
  { part: resources, mayImport: [common, kube, api] },
  { part: status, mayImport: [common, api, resources, plan] },
  {
    part: reconcile,
    mayImport: [common, kube, nodes, api, resources, plan, status, operatorMetrics],
  },
  { part: operatorConfig, mayImport: [common] },
  { part: operatorMetrics, mayImport: [common] },
  { part: operatorServer, mayImport: [common, operatorMetrics] },
  {
    part: manager,
    mayImport: [
      common,
      kube,
      nodes,
      api,
      resources,
      reconcile,
      operatorConfig,
      operatorMetrics,
      operatorServer,
    ],
  },
  { part: operatorMain, mayImport: [operatorConfig, kube, manager] },
];

/** Files that compute values and touch nothing: no file, no socket, no clock. Globs from the root. */
export const pureFiles: readonly string[] = [
  'common/errors.ts',
  'common/assert.ts',
  'common/nearest.ts',
  'common/placement.ts',
  'operator/src/plan/*.ts',
  'operator/src/resources/*.ts',
  'operator/src/status/*.ts',
  'operator/src/api/*.ts',
  'node/src/config/*.ts',
  'node/src/cluster/assignment-rules.ts',
  'node/src/cluster/moves.ts',
  'node/src/cluster/assignment-shape.ts',
  'node/src/cluster/forming.ts',
  'node/src/cluster/member-directory.ts',
  'node/src/engine/rules.ts',
  'node/src/resp/commands/partition-list.ts',
  'node/src/resp/commands/subscription-clauses.ts',
  'node/src/storage/*-format.ts',
  'node/src/storage/names.ts',
  'node/src/storage/hash.ts',
];
