/** Driver: ioredis.ts PORT 5|6 */
import { Redis as Redis6 } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';

import { conversation, type Client } from './conversation.ts';
import { droppedSubscriptions, refusedSubscriptions } from './no-events.ts';
import { packageVersion } from './package-version.ts';
import { report } from './report.ts';

const [port, version] = process.argv.slice(2);

/** The part of both versions that is used here. */
interface Library {
  call(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
  callBuffer(command: string, ...args: (string | Buffer)[]): Promise<unknown>;
  quit(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

const options = { host: '127.0.0.1', port: Number(port) };
const library: Library = version === '5' ? new Redis5(options) : new Redis6(options);
const errors: Error[] = [];
library.on('error', (error) => errors.push(error));

const client: Client = {
  call: (command = '', ...args) => library.call(String(command), ...args),
  callForBuffers: (command = '', ...args) => library.callBuffer(String(command), ...args),
  errors,
  // Both versions present RESP3's maps and booleans as RESP2's, unless they are told otherwise.
  yes: 1,
  no: 0,
};

await report(
  version === '5'
    ? { version: packageVersion('ioredis5'), protocol: 2 }
    : { version: packageVersion('ioredis'), protocol: 3 },
  conversation(client, version === '5' ? refusedSubscriptions : droppedSubscriptions),
);
await library.quit();
