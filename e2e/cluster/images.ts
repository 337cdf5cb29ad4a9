/**
 * The image that Dockerfile describes, node and operator in one, made without a container engine: compiled sources,
 * production packages and Node.js, as a file that `ctr images import` reads. For tests on a real cluster.
 *
 *     node e2e/cluster/images.ts [FILE.tar]      prints the file's path; default: <temporary folder>/sierradb-test.tar
 *
 * `KUBOX` is the folder with `make-image.sh` (default `../shared/kubox`, from the checkout). Two images of the same sources are
 * the same, byte for byte.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..');
const execute = promisify(execFile);

/** With a tag, and not `latest`: a cluster must not try to pull it. */
export const IMAGE = 'sierradb:test';

/** Where it is written by default. */
export const imageFile: string = join(tmpdir(), 'sierradb-test.tar');

export const kubox: string = resolve(root, process.env['KUBOX'] ?? '../shared/kubox');

/** Of the image, which kubelet checks is not root. */
const USER = '1000:1000';

/** Writes the image {@link IMAGE} to `file`, some 200 MB. Takes about 15 s on a quiet machine. */
export async function buildImage(file: string): Promise<void> {
  const rootFolder = await mkdtemp(join(tmpdir(), 'sierradb-image-'));
  const app = join(rootFolder, 'app');
  try {
    // A temporary folder is its owner's alone; the image runs as another user.
    await chmod(rootFolder, 0o755);
    await compileInto(join(app, 'dist'));
    for (const name of ['package.json', 'bin', 'LICENSE', 'README.md']) {
      await cp(join(root, name), join(app, name), { recursive: true });
    }
    await copyPackages(app);
    await addSystem(rootFolder);
    await execute(join(kubox, 'make-image.sh'), [
      ...[IMAGE, rootFolder, file, '-u', USER, '-w', '/app'],
      ...['-e', 'NODE_ENV=production', '--', '/usr/bin/node', '/app/bin/sierradb.cjs'],
    ]);
  } finally {
    await rm(rootFolder, { recursive: true, force: true });
  }
}

/** Node.js, the libraries of this machine that it and native packages need, and the files that every program looks for. */
async function addSystem(folder: string): Promise<void> {
  for (const name of ['data', 'dev', 'proc', 'sys', 'tmp', 'etc/ssl/certs', 'usr/bin', 'lib64']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await chmod(join(folder, 'tmp'), 0o1777);
  const node = join(folder, 'usr', 'bin', 'node');
  await cp(join(root, 'node_modules', 'node', 'bin', 'node'), node);
  const inApp = await readdir(join(folder, 'app'), { recursive: true });
  const native = inApp.filter((name) => name.endsWith('.node'));
  for (const program of [node, ...native.map((name) => join(folder, 'app', name))]) {
    const { stdout } = await execute('ldd', [program]);
    for (const [library] of stdout.matchAll(/\/\S+/g)) {
      await cp(library, join(folder, library), { dereference: true });
    }
  }
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  await cp(certificates, join(folder, certificates), { dereference: true }).catch(() => undefined);
  await writeFile(join(folder, 'etc', 'passwd'), 'node:x:1000:1000:node:/app:/sbin/nologin\n');
  await writeFile(join(folder, 'etc', 'group'), 'node:x:1000:\n');
  await writeFile(join(folder, 'etc', 'nsswitch.conf'), 'hosts: files dns\n');
}

/** Into a folder of its own: `dist/` may be in use. Types are checked elsewhere. */
async function compileInto(folder: string): Promise<void> {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['-p', 'tsconfig.build.json', '--noCheck', '--declaration', 'false'];
  options.push('--isolatedDeclarations', 'false');
  await execute(process.execPath, [tsc, ...options, '--outDir', folder], { cwd: root });
}

/** What `npm ci --omit=dev` would install, from what is installed: no registry is needed. */
async function copyPackages(app: string): Promise<void> {
  const lock = await readFile(join(root, 'node_modules', '.package-lock.json'), 'utf8');
  const { packages } = JSON.parse(lock) as {
    readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  for (const [place, { dev = false }] of Object.entries(packages)) {
    // A package inside another one comes with it, where it is needed in production.
    if (dev || place.lastIndexOf('node_modules/') > 0) continue;
    await cp(join(root, place), join(app, place), { recursive: true });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = resolve(process.argv[2] ?? imageFile);
  await buildImage(file);
  process.stdout.write(`${file}\n`);
}
