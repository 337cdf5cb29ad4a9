'use strict';
/*
 * What every npm script starts. Plain CommonJS without dependencies, because it must work on a fresh clone with nothing
 * installed and on any Node.js from 20 on: it installs what package-lock.json names when that is missing, then runs the
 * task with the Node.js 24 of node_modules (a development dependency), which runs the TypeScript sources as they are.
 */
const { spawn, spawnSync } = require('node:child_process');
const { existsSync, readFileSync, readdirSync, rmSync } = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const root = path.resolve(__dirname, '..');
const modules = path.join(root, 'node_modules');
const entry = path.join(root, 'node', 'src', 'main.ts');
const localNode = path.join(modules, 'node', 'bin', 'node');
/** What Node.js has made of the sources: from the second start on half the CPU time, and 20 MB less memory. */
const compileCache = path.join(modules, '.cache', 'node-compile');

const unitTests = ['common', 'node', 'client', 'cli', 'operator', 'tools', 'bench'].map(
  (folder) => `${folder}/**/*.test.ts`,
);
const tool = (name, ...file) => path.join(modules, name, ...file);

/** Task name → arguments for Node.js. `given` are the arguments behind the task's name. */
const tasks = {
  start: () => [],
  sierradb: () => [],
  test: (given) => testRun(unitTests, given),
  'test:process': (given) =>
    testRun(['e2e/*.test.ts', 'e2e/{clients,process,testing}/**/*.test.ts'], given),
  'test:cluster': (given) => clusterTestRun(given),
  'test:crash': (given) => testRun(seededTests(), given),
  bench: (given) => ['bench/main.ts', ...given],
  fuzz: (given) => ['tools/fuzz.ts', ...given],
  simulate: (given) => ['tools/simulate.ts', ...given],
  lint: (given) => [tool('eslint', 'bin', 'eslint.js'), '--max-warnings', '0', ...orAll(given)],
  format: (given) => [tool('prettier', 'bin', 'prettier.cjs'), '--write', ...orAll(given)],
  'format:check': (given) => [tool('prettier', 'bin', 'prettier.cjs'), '--check', ...orAll(given)],
  typecheck: (given) => [tool('typescript', 'bin', 'tsc'), '-p', '.', ...given],
  build: (given) => {
    // What was compiled from a file that is gone must not be packed.
    rmSync(path.join(root, 'dist'), { recursive: true, force: true });
    return [tool('typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json', ...given];
  },
};

function orAll(given) {
  return given.some((argument) => !argument.startsWith('-')) ? given : ['.', ...given];
}

/** Files named on the command line replace the task's own; flags are the runner's. */
function testRun(files, given) {
  const flags = given.filter((argument) => argument.startsWith('-'));
  const named = given.filter((argument) => !argument.startsWith('-'));
  return ['--test', '--test-concurrency=2', ...flags, ...(named.length > 0 ? named : files)];
}

/** On a real Kubernetes, one after the other: what one does to its machines, all would feel. */
function clusterTestRun(given) {
  const setup = '--test-global-setup=e2e/cluster/testing/global-setup.ts';
  return testRun(['e2e/cluster/*.test.ts'], ['--test-concurrency=1', setup, ...given]);
}

/** The tests that can be run for longer: those that read SEEDS from the environment. */
function seededTests() {
  process.env.SEEDS ??= '1000';
  return ['common', 'node', 'client', 'cli', 'operator', 'tools']
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true }).map((file) =>
        path.join(folder, file),
      ),
    )
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => /\bSEEDS\b|seeds\(/.test(readFileSync(path.join(root, file), 'utf8')));
}

/** Whether node_modules holds every package of the lock file in its version. */
function isInstalled() {
  if (!existsSync(localNode)) return false;
  let installed;
  try {
    installed = JSON.parse(readFileSync(path.join(modules, '.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  const wanted = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(
    ([place, entry]) =>
      place === '' || entry.optional || installed[place]?.version === entry.version,
  );
}

function install() {
  process.stderr.write('Installing dependencies, once …\n');
  const npm = process.env.npm_execpath;
  const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
  const options = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = spawnSync(command, [...first, ...options], {
    cwd: root,
    encoding: 'utf8',
    // A production environment must not leave out the development dependencies: Node.js 24 is one of them.
    env: { ...process.env, NODE_ENV: 'development', npm_config_omit: '' },
  });
  if (result.status !== 0) {
    process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    fail(`npm ci failed${result.error === undefined ? '' : `: ${result.error.message}`}`);
  }
  if (!existsSync(localNode)) {
    fail(
      'npm ci left no node_modules/node/bin/node: are install scripts switched off (ignore-scripts)?',
    );
  }
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

function main() {
  const [name, ...given] = process.argv.slice(2);
  const task = tasks[name];
  if (task === undefined) fail(`usage: node tools/run.cjs ${Object.keys(tasks).join('|')}`);
  if (!isInstalled()) install();
  process.env.NODE_COMPILE_CACHE ??= compileCache;
  if (name === 'start') start(given);
  else if (name === 'sierradb') run([entry, ...given], process.env.INIT_CWD ?? process.cwd());
  else run(task(given), root);
}

/**
 * Runs the node in the folder in which the command was typed. npm puts node_modules/.bin in front of the path, so from the
 * second start on this process already is the right Node.js and becomes the node itself: one process less, and signals
 * need no forwarding. (`npm start` says `exec` for the same reason: without it a signal ends the shell in between.)
 */
function start(given) {
  if (process.version !== `v${require(path.join(modules, 'node', 'package.json')).version}`) {
    run(
      ['--max-semi-space-size=32', '--initial-old-space-size=128', entry, ...given],
      process.cwd(),
    );
    return;
  }
  process.argv.splice(1, Infinity, entry, ...given);
  require('node:module').enableCompileCache(process.env.NODE_COMPILE_CACHE);
  void import(pathToFileURL(entry).href);
}

function run(nodeArguments, cwd) {
  const child = spawn(localNode, nodeArguments, { cwd, stdio: 'inherit' });
  // A terminal signals the whole process group, the child included; anything else must be passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => fail(`cannot run ${localNode}: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.exit(128 + (require('node:os').constants.signals[signal] ?? 0));
  });
}

main();
