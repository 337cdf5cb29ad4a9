/**
 * Finds or makes the driver of each language. Packages and builds go to a cache outside the checkout; the lock files beside
 * the drivers say which versions.
 *
 * What the machine does not have is a reason to skip: the toolchain, the packages (no registry in reach), the time for a
 * build. A driver that does not compile is a failure.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

const FETCH_LIMIT_MS = 3 * 60_000;
const BUILD_LIMIT_MS = 6 * 60_000;

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sierradb-e2e');

export interface Driver {
  /** Program and first arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Why a client cannot be tested here. */
export interface Skipped {
  readonly skipped: string;
  /** What the toolchain said. */
  readonly detail: string;
}

/** Makes a driver ready to run; made once, whatever asks for it. */
export type Toolchain = () => Promise<Driver | Skipped>;

class Unavailable extends Error {
  readonly detail: string;

  constructor(reason: string, detail: string) {
    super(reason);
    this.detail = detail;
  }
}

function toolchain(prepare: () => Promise<Driver>): Toolchain {
  let prepared: Promise<Driver | Skipped> | undefined;
  return () =>
    (prepared ??= prepare().catch((error: unknown) => {
      if (!(error instanceof Unavailable)) throw error;
      return { skipped: error.message, detail: error.detail };
    }));
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly tookTooLong: boolean;
}

interface RunOptions {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly limitMs?: number;
}

/** Runs a program to its end. `undefined` if there is no such program. */
async function run(
  [program, ...args]: readonly [string, ...string[]],
  { folder, environment = {}, limitMs = 20_000 }: RunOptions = {},
): Promise<Ended | undefined> {
  const limit = AbortSignal.timeout(limitMs);
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: limit,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const failure = once(child, 'error').then(([error]) => error as NodeJS.ErrnoException);
  const end = once(child, 'close').then(([status]) => status as number | null);
  const first = await Promise.race([failure, end]);
  if (first instanceof Error && first.code === 'ENOENT') return undefined;
  return {
    status: typeof first === 'number' ? first : null,
    output: output.trim(),
    tookTooLong: limit.aborted,
  };
}

/** Asks a program for its version. Returns the first number of what it prints. */
async function demand(program: string, ...args: readonly string[]): Promise<number> {
  const ended = await run([program, ...args]);
  if (ended?.status === 0) return Number(/\d+/.exec(ended.output)?.[0]);
  throw new Unavailable(`\`${program}\` is not installed`, ended?.output ?? 'no such program');
}

async function demandVersion(least: number, program: string, argument: string): Promise<void> {
  const version = await demand(program, argument);
  if (version >= least) return;
  throw new Unavailable(`\`${program}\` is older than ${least}`, `version ${version}`);
}

/** Whatever keeps packages from being fetched is the machine's; the manifests are tested where they can be. */
async function fetched(
  command: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<void> {
  const ended = await run(command, { limitMs: FETCH_LIMIT_MS, ...options });
  if (ended?.status === 0) return;
  throw new Unavailable('its packages could not be fetched', ended?.output.slice(-2000) ?? '');
}

async function built(
  command: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<void> {
  const ended = await run(command, { limitMs: BUILD_LIMIT_MS, ...options });
  if (ended?.status === 0) return;
  if (ended?.tookTooLong === true) throw new Unavailable('its build took too long', ended.output);
  throw new Error(`${command.join(' ')} failed:\n${ended?.output ?? 'no such program'}`);
}

function folderOf(language: string): string {
  return join(import.meta.dirname, language);
}

/** A folder of the cache that belongs to this content of a manifest. */
function cacheFor(language: string, manifest: string): string {
  const content = readFileSync(join(folderOf(language), manifest));
  const digest = createHash('sha256').update(content).digest('hex').slice(0, 16);
  const folder = join(cache, `${language}-${digest}`);
  mkdirSync(folder, { recursive: true });
  return folder;
}

const node = (file: string): Driver => ({
  command: [process.execPath, join(folderOf('typescript'), file)],
});

export const typescript = (file: string): Toolchain => toolchain(() => Promise.resolve(node(file)));

export const redisCli: Toolchain = toolchain(async () => {
  await demandVersion(7, 'redis-cli', '--version');
  return node('redis-cli.ts');
});

/** Where the packages of a requirements file are; a file is written last of all, so that half an installation is none. */
async function pythonPackages(requirements: string): Promise<string> {
  const packages = cacheFor('python', requirements);
  const complete = join(packages, 'complete');
  if (existsSync(complete)) return packages;
  const flags = ['--quiet', '--disable-pip-version-check', '--upgrade', '--target', packages];
  const file = join(folderOf('python'), requirements);
  await fetched(['python3', '-m', 'pip', 'install', ...flags, '--requirement', file]);
  writeFileSync(complete, '');
  return packages;
}

const python = (...requirements: readonly string[]): Toolchain =>
  toolchain(async () => {
    await demand('python3', '-m', 'pip', '--version');
    const packages: string[] = [];
    for (const file of requirements) packages.push(await pythonPackages(file));
    return {
      command: ['python3', join(folderOf('python'), 'driver.py')],
      environment: { PYTHONPATH: packages.join(delimiter), PYTHONDONTWRITEBYTECODE: '1' },
    };
  });

export const redisPy: Toolchain = python('requirements.txt');
export const redisPyWithHiredis: Toolchain = python('requirements.txt', 'requirements-hiredis.txt');

export const go: Toolchain = toolchain(async () => {
  await demand('go', 'version');
  const folder = folderOf('go');
  const driver = join(cache, 'go-driver');
  await fetched(['go', 'mod', 'download'], { folder });
  await built(['go', 'build', '-o', driver, '.'], { folder });
  return { command: [driver] };
});

export const rust: Toolchain = toolchain(async () => {
  await demand('cargo', '--version');
  const target = join(cache, 'rust');
  const options = { folder: folderOf('rust'), environment: { CARGO_TARGET_DIR: target } };
  await fetched(['cargo', 'fetch', '--locked'], options);
  await built(['cargo', 'build', '--locked', '--offline'], options);
  return { command: [join(target, 'debug', 'sierradb-client-driver')] };
});

/** The libraries' archives, as Maven has fetched them. */
async function classPath(): Promise<string> {
  const file = join(cacheFor('java', 'pom.xml'), 'class-path');
  const known = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (known !== '' && known.split(delimiter).every((archive) => existsSync(archive))) return known;
  await demand('mvn', '--version');
  const goal = 'dependency:build-classpath';
  const output = `-Dmdep.outputFile=${file}`;
  await fetched(['mvn', '--batch-mode', '--quiet', goal, output], { folder: folderOf('java') });
  return readFileSync(file, 'utf8');
}

const classes: () => Promise<string> = (() => {
  let made: Promise<string> | undefined;
  return () => (made ??= compileJava());
})();

async function compileJava(): Promise<string> {
  await demandVersion(17, 'javac', '-version');
  const libraries = await classPath();
  const output = join(cache, 'java-classes');
  const folder = folderOf('java');
  const sources = readdirSync(folder).filter((name) => name.endsWith('.java'));
  const flags = ['--release', '17', '-encoding', 'UTF-8', '-cp', libraries, '-d', output];
  await built(['javac', ...flags, ...sources], { folder });
  return [output, libraries].join(delimiter);
}

const java = (main: string): Toolchain =>
  toolchain(async () => ({ command: ['java', '-cp', await classes(), main] }));

export const jedis: Toolchain = java('JedisDriver');
export const lettuce: Toolchain = java('LettuceDriver');

export const dotnet: Toolchain = toolchain(async () => {
  await demand('dotnet', '--version');
  throw new Unavailable('its driver is still to be written', '');
});
