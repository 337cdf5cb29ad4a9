import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const modules = join(import.meta.dirname, '..', '..', '..', 'node_modules');

/** The version in which a development dependency is installed. */
export function packageVersion(name: string): string {
  const manifest = readFileSync(join(modules, name, 'package.json'), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
