/**
 * The node's configuration: read from flags, environment and file, checked as a whole, with every mistake reported at once.
 *
 * ```ts
 * const loaded = loadConfig(process.argv.slice(2), process.env);
 * if (loaded.compiled.ok) start(loaded.compiled.config);
 * else process.stderr.write(formatProblems(loaded.compiled.problems));
 * ```
 *
 * The settings themselves are one table: `config/settings.ts`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { compileConfig, type Compiled } from './config/compile.ts';
import {
  emptyGathered,
  fromEnvironment,
  fromFlags,
  fromToml,
  type CommandLine,
  type Gathered,
} from './config/sources.ts';

export type { ClusterConfig, Compiled, EffectiveSetting, NodeConfig } from './config/compile.ts';
export type { Address } from './config/settings.ts';
export type { CommandLine, Problem } from './config/sources.ts';
export { formatEffective, formatProblems, usage } from './config/print.ts';
export { formatAddress } from './config/values.ts';

export interface LoadedConfig {
  readonly line: CommandLine;
  readonly compiled: Compiled;
}

/** Read from the working directory when no file is named: our name, and the one that SierraDB 0.3 looks for. */
const usualFiles: readonly string[] = ['sierradb.toml', 'sierra.toml'];

/** `given` are the arguments behind the program's name. Reads at most one file; throws nothing. */
export function loadConfig(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): LoadedConfig {
  const line = fromFlags(given);
  const variables = fromEnvironment(environment);
  const named = line.configFile ?? (environment['SIERRADB_CONFIG'] || null);
  const path = named ?? usualFiles.find((name) => existsSync(name));
  const file = path === undefined ? emptyGathered() : readConfigFile(path);
  return { line, compiled: compileConfig([file, variables, line]) };
}

function readConfigFile(path: string): Gathered {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file' : `cannot be read: ${code ?? message}`;
    return { ...emptyGathered(), problems: [{ source: path, key: null, reason }] };
  }
  return fromToml(path, text);
}
