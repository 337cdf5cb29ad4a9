/** The configuration file of all nodes. Only a node's index is its own; its pod tells it that. */
import type { SettledSpec } from '../api/sierra-cluster.ts';
import type { KubeObject } from '../kube/types.ts';
import { ADMIN_PORT, childNames, CLIENT_PORT, CLUSTER_PORT, SECRET_KEY } from './names.ts';
import { childMeta, type Owner } from './owner.ts';

export const DATA_FOLDER = '/data';
export const CONFIG_FOLDER = '/etc/sierradb/config';
export const SECRET_FOLDER = '/etc/sierradb/secret';
/** Key of the ConfigMap, and file in {@link CONFIG_FOLDER}. */
export const CONFIG_KEY = 'sierradb.toml';

type Value = string | number | boolean;

/** What a resource's `config` may not say otherwise. */
const ownSettings = ({ bucketCount, partitionCount }: SettledSpec): Record<string, Value> => ({
  dir: DATA_FOLDER,
  'bucket.count': bucketCount,
  'cluster.forming': 'operator',
  'network.admin_address': `0.0.0.0:${ADMIN_PORT}`,
  'network.client_address': `0.0.0.0:${CLIENT_PORT}`,
  'network.cluster_address': `0.0.0.0:${CLUSTER_PORT}`,
  'network.cluster_secret_file': `${SECRET_FOLDER}/${SECRET_KEY}`,
  'partition.count': partitionCount,
});

/** TOML: a section for every first part of the dotted names, in alphabetical order. */
export function nodeConfig(spec: SettledSpec): string {
  const settings = Object.entries({ ...spec.config, ...ownSettings(spec) })
    .map(([name, value]): [section: string, key: string, value: Value] => {
      const at = name.indexOf('.');
      return [name.slice(0, Math.max(at, 0)), name.slice(at + 1), value];
    })
    .sort(([a, x], [b, y]) => (`${a}.${x}` < `${b}.${y}` ? -1 : 1));
  const sections = Map.groupBy(settings, ([section]) => section);
  const texts = [...sections].map(([section, lines]) => {
    const head = section === '' ? '' : `[${section}]\n`;
    return head + lines.map(([, key, value]) => `${key} = ${tomlOf(value)}\n`).join('');
  });
  return texts.join('\n');
}

/** Strings as in JSON: TOML's basic strings have the same escapes. */
const tomlOf = (value: Value): string => JSON.stringify(value);

export const configMapOf = (owner: Owner, spec: SettledSpec): KubeObject & { data: object } => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: childMeta(owner, childNames.config(owner.name)),
  data: { [CONFIG_KEY]: nodeConfig(spec) },
});
