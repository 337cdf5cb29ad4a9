/** Starts and stops the two servers on fresh directories of the same disk. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { type Dialect, encodeCommand, streamName } from './load/requests.ts';

const START_MS_MAX = 120_000;
/** Characters of a server's error output that are quoted: the first ones name the cause. */
const OUTPUT_QUOTED_MAX = 600;
const STOP_MS_MAX = 60_000;

export interface Server extends AsyncDisposable {
  readonly dialect: Dialect;
  readonly pid: number;
  readonly port: number;
  /** Of health and metrics; null where there are none. */
  readonly adminPort: number | null;
  readonly directory: string;
  /** From the start of the process to its first useful reply, in milliseconds. */
  readonly readyMs: number;
  /** Where its inspector listens, if it was started with one. */
  readonly inspectorPort: number | null;
  /** Ends the process and waits until it is gone. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Configuration keys of the node with their values, as in `--set key=value`. */
export type Settings = Readonly<Record<string, string | number>>;

export const segmentsOf = (mebibytes: number): Settings => ({
  'segment.size_bytes': mebibytes * 1024 * 1024,
});

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * The environment without what would change the node's defaults, and with what `npm start` sets: the figures are those
 * of the program as shipped.
 */
function shippedEnv(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('SIERRADB_') && name !== 'UV_THREADPOOL_SIZE',
  );
  return { ...Object.fromEntries(entries), MALLOC_MMAP_THRESHOLD_: '131072' };
}

const living = new Set<ChildProcess>();

/** Ends whatever is still running, without waiting: for the end of this process. */
export function killServers(): void {
  for (const child of living) child.kill('SIGKILL');
}

class ServerProcess implements Server {
  readonly dialect: Dialect;
  readonly port: number;
  readonly directory: string;
  adminPort: number | null = null;
  inspectorPort: number | null = null;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #startedAt: number;
  readonly #ending: 'SIGTERM' | 'SIGKILL';
  #readyMs = 0;
  #firstErrors = '';

  constructor(
    dialect: Dialect,
    directory: string,
    port: number,
    command: readonly string[],
    ending: 'SIGTERM' | 'SIGKILL' = 'SIGKILL',
  ) {
    this.#ending = ending;
    this.dialect = dialect;
    this.directory = directory;
    this.port = port;
    this.#startedAt = performance.now();
    const [program = '', ...flags] = command;
    this.#child = spawn(program, flags, { env: shippedEnv(), stdio: ['ignore', 'pipe', 'pipe'] });
    living.add(this.#child);
    this.#child.once('exit', () => living.delete(this.#child));
    keepOutput(this.#child, `${directory}.log`);
    this.#child.stderr?.on('data', (text: Buffer) => {
      this.#firstErrors = (this.#firstErrors + text.toString('utf8')).slice(0, OUTPUT_QUOTED_MAX);
    });
    this.#exited = once(this.#child, 'exit');
    this.#exited.catch(() => undefined);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get readyMs(): number {
    return this.#readyMs;
  }

  /** Settles when the process logs a JSON line whose message says that it listens. */
  listeningLine(): Promise<void> {
    const seen = Promise.withResolvers<undefined>();
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        if (/"msg":\s*"listening/.test(line)) seen.resolve(undefined);
      });
    }
    return seen.promise;
  }

  /** Waits for `announced` and then for the reply to `command`; fails when the process ends or takes too long. */
  async ready(announced: Promise<unknown>, command: string): Promise<this> {
    const ended = this.#exited.then(() => {
      throw new Error(`${this.dialect} ended at once: ${this.#firstErrors.trim()}`);
    });
    const late = new AbortController();
    const timeout = delay(START_MS_MAX, null, { signal: late.signal }).then(() => {
      throw new Error(`${this.dialect} was not ready after ${String(START_MS_MAX / 1000)} s`);
    });
    timeout.catch(() => undefined);
    ended.catch(() => undefined);
    try {
      await Promise.race([announced.then(() => ask(this.port, command)), ended, timeout]);
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    } finally {
      late.abort();
    }
    this.#readyMs = performance.now() - this.#startedAt;
    return this;
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    const impatience = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(impatience);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop(this.#ending);
  }
}

/** Sends one command and waits for the first bytes of its reply. */
async function ask(port: number, command: string): Promise<string> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      socket.write(command);
      const [reply] = (await once(socket, 'data')) as [Buffer];
      const text = reply.toString('latin1');
      // Redis listens before its log is loaded.
      if (!text.startsWith('-LOADING')) return text;
    } catch {
      // Not listening yet.
    } finally {
      socket.destroy();
    }
    await delay(2);
  }
}

function keepOutput(child: ChildProcess, file: string): void {
  const log = createWriteStream(file, { flags: 'a' });
  child.stdout?.pipe(log, { end: false });
  child.stderr?.pipe(log, { end: false });
  child.once('close', () => {
    log.end();
  });
}

/** The node's program and how it is run. */
export interface NodeProgram {
  readonly mainFile: string;
  /** Where each run leaves a CPU profile; null: none is taken. */
  readonly profileFolder: string | null;
}

/**
 * Starts the node on `directory`, which may hold data. Its output goes to `directory`.log. With `inspect` its memory can be
 * measured after a garbage collection.
 */
export async function startNode(
  { mainFile, profileFolder }: NodeProgram,
  directory: string,
  settings: Settings = {},
  inspect = false,
): Promise<Server> {
  const ports = await Promise.all([freePort(), freePort(), freePort()]);
  const [port, adminPort, inspectorPort] = ports;
  const flags = ['--dir', directory, '--client-address', `127.0.0.1:${String(port)}`];
  flags.push('--admin-address', `127.0.0.1:${String(adminPort)}`);
  for (const [key, value] of Object.entries(settings)) flags.push('--set', `${key}=${value}`);
  const profile =
    profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profileFolder)}`];
  const inspector = inspect ? [`--inspect=127.0.0.1:${String(inspectorPort)}`] : [];
  const heap = ['--max-semi-space-size=32', '--initial-old-space-size=128'];
  const nodeFlags = [...heap, ...profile, ...inspector];
  const command = [process.execPath, ...nodeFlags, mainFile, ...flags];
  // Only a process that ends by itself writes its profile.
  const ending = profileFolder === null ? 'SIGKILL' : 'SIGTERM';
  const server = new ServerProcess('sierradb', directory, port, command, ending);
  server.adminPort = adminPort;
  if (inspect) server.inspectorPort = inspectorPort;
  // A read of a stream, not a ping: it is answered only by an open store.
  return server.ready(server.listeningLine(), encodeCommand('ESVER', streamName(0)));
}

/** The version of the installed redis-server, or null where there is none. */
export function redisVersion(): string | null {
  try {
    const text = execFileSync('redis-server', ['--version'], { encoding: 'utf8' });
    return /v=([\d.]+)/.exec(text)?.[1] ?? 'unknown';
  } catch {
    return null;
  }
}

/**
 * Starts redis-server with the durability that we promise: every write synced before its reply. Snapshots and rewrites
 * of its log are off, because they would only slow it down during a run.
 */
export async function startRedis(directory: string): Promise<Server> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''];
  flags.push('--appendonly', 'yes', '--appendfsync', 'always');
  flags.push('--auto-aof-rewrite-percentage', '0', '--daemonize', 'no');
  const server = new ServerProcess('redis', directory, port, ['redis-server', ...flags]);
  return server.ready(Promise.resolve(), encodeCommand('PING'));
}
