/** Starts the operator. Exit code 0 after a stop, 1 after a mistake in its settings, or when it cannot go on. */
import pino from 'pino';

import { ConfigError, operatorConfig } from './config.ts';
import { loadConnection } from './kube/index.ts';
import { Manager } from './manager.ts';

async function run(): Promise<void> {
  const config = operatorConfig(process.env);
  const log = pino({ level: config.logLevel });
  process.on('unhandledRejection', (error) => {
    log.fatal({ err: error }, 'a mistake of ours: the operator ends');
    process.exit(1);
  });
  const manager = new Manager(await loadConnection(), config, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping');
      manager.stop();
    });
  }
  try {
    await manager.run();
  } catch (error) {
    log.fatal({ err: error }, 'the operator ends');
    process.exitCode = 1;
  }
}

try {
  await run();
} catch (error) {
  process.stderr.write(`${error instanceof ConfigError ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
