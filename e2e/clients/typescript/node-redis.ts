/** Driver: node-redis.ts PORT 4|5|5-resp3|6 */
import { createClient as createClient6 } from 'redis';
import { createClient as createClient4 } from 'redis4';
import { createClient as createClient5 } from 'redis5';

import { conversation, type Client } from './conversation.ts';
import { droppedSubscriptions, refusedSubscriptions } from './no-events.ts';
import { packageVersion } from './package-version.ts';
import { report } from './report.ts';

const [port, version = ''] = process.argv.slice(2);
const url = `redis://127.0.0.1:${port}`;

/** The part of all versions that is used here. */
interface Library {
  connect(): Promise<unknown>;
  sendCommand(args: (string | Buffer)[], options?: object): Promise<unknown>;
  quit(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

interface Version {
  readonly package: string;
  readonly protocol: 2 | 3;
  readonly library: () => Library;
  /** What makes it leave blobs as buffers. */
  readonly buffers: object;
}

/** By the first byte of a blob string in RESP. */
const typeMapping = { [0x24]: Buffer };

const versions: Readonly<Record<string, Version>> = {
  '4': {
    package: 'redis4',
    protocol: 2,
    library: () => createClient4({ url }),
    buffers: { returnBuffers: true },
  },
  '5': {
    package: 'redis5',
    protocol: 2,
    library: () => createClient5({ url }),
    buffers: { typeMapping },
  },
  '5-resp3': {
    package: 'redis5',
    protocol: 3,
    library: () => createClient5({ url, RESP: 3 }),
    buffers: { typeMapping },
  },
  '6': {
    package: 'redis',
    protocol: 3,
    library: () => createClient6({ url }),
    buffers: { typeMapping },
  },
};

const chosen = versions[version];
if (chosen === undefined) throw new Error(`unknown version ${version}`);
const { protocol, buffers } = chosen;

const library = chosen.library();
const errors: Error[] = [];
library.on('error', (error) => errors.push(error));
await library.connect();

const client: Client = {
  call: (...args) => library.sendCommand(args),
  callForBuffers: (...args) => library.sendCommand(args, buffers),
  errors,
  yes: protocol === 3 ? true : 1,
  no: protocol === 3 ? false : 0,
};
await report(
  { version: packageVersion(chosen.package), protocol },
  conversation(client, protocol === 2 ? refusedSubscriptions : droppedSubscriptions),
);
await library.quit();
