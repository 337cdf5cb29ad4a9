import { existsSync, readFileSync } from 'node:fs';

/** The package's version. Its package.json stands two folders above the sources, one more above the compiled files. */
export const version: string = readVersion();

function readVersion(): string {
  for (const place of ['../../package.json', '../../../package.json']) {
    const url = new URL(place, import.meta.url);
    if (!existsSync(url)) continue;
    const manifest = JSON.parse(readFileSync(url, 'utf8')) as { name: string; version: string };
    if (manifest.name === 'sierradb') return manifest.version;
  }
  return 'unknown';
}
