/** What the operator is started with: environment variables, checked at once. */
import { randomBytes } from 'node:crypto';

export interface OperatorConfig {
  /** Image of storage pods where a cluster names none. */
  readonly defaultImage: string;
  /** Where its Lease is. */
  readonly namespace: string;
  /** Empty: all namespaces. */
  readonly watchNamespaces: readonly string[];
  readonly leaseName: string;
  /** Who holds the Lease: another one for every process, also in the same pod. */
  readonly identity: string;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly logLevel: string;
}

/** Everything that is wrong, a line each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const levels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

export function operatorConfig(env: Readonly<Record<string, string | undefined>>): OperatorConfig {
  const problems: string[] = [];
  const required = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') problems.push(`${name} is missing`);
    return value;
  };
  const level = env['SIERRADB_OPERATOR_LOG_LEVEL'] ?? 'info';
  if (!levels.includes(level)) {
    problems.push(`SIERRADB_OPERATOR_LOG_LEVEL must be one of ${levels.join(', ')}: ${level}`);
  }
  const address = env['SIERRADB_OPERATOR_HTTP_ADDRESS'] ?? '0.0.0.0:8080';
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(address) ?? [];
  if (host === '' || Number(port) > 65_535) {
    problems.push(`SIERRADB_OPERATOR_HTTP_ADDRESS must be HOST:PORT: ${address}`);
  }
  const config: OperatorConfig = {
    defaultImage: required('SIERRADB_OPERATOR_IMAGE'),
    namespace: required('SIERRADB_OPERATOR_NAMESPACE'),
    watchNamespaces: (env['SIERRADB_OPERATOR_WATCH_NAMESPACES'] ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    leaseName: env['SIERRADB_OPERATOR_LEASE_NAME'] ?? 'sierradb-operator',
    identity: `${env['POD_NAME'] ?? 'operator'}-${randomBytes(4).toString('hex')}`,
    ...{ httpHost: host, httpPort: Number(port), logLevel: level },
  };
  if (problems.length > 0) throw new ConfigError(problems.join('\n'));
  return config;
}
