/**
 * The image that Dockerfile describes, node and operator in one, made without a container engine: compiled sources,
 * production packages and Node.js, as a file that `ctr images import` reads. For tests on a real cluster.
 *
 *     node e2e/cluster/images.ts [FILE.tar]      prints the file's path; default: <temporary folder>/sierradb-test.tar
 *
 * `KUBOX` is the folder with `node-image.sh` (default `../shared/kubox`, from the checkout). Two images of the same sources are
 * the same, byte for byte.
 */
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..', '..');
const execute = promisify(execFile);

/** With a tag, and not `latest`: a cluster must not try to pull it. */
export const IMAGE = 'sierradb:test';

export const kubox: string = resolve(root, process.env['KUBOX'] ?? '../shared/kubox');

/** Writes the image {@link IMAGE} to `file`, some 200 MB. Takes about 15 s on a quiet machine. */
export async function buildImage(file: string): Promise<void> {
  const app = await mkdtemp(join(tmpdir(), 'sierradb-image-'));
  try {
    // A temporary folder is its owner's alone; the image runs as another user.
    await chmod(app, 0o755);
    await compileInto(join(app, 'dist'));
    for (const name of ['package.json', 'bin', 'LICENSE', 'README.md']) {
      await cp(join(root, name), join(app, name), { recursive: true });
    }
    await copyPackages(app);
    await execute(join(kubox, 'node-image.sh'), [IMAGE, app, file, 'bin/sierradb.cjs']);
  } finally {
    await rm(app, { recursive: true, force: true });
  }
}

/** Into a folder of its own: `dist/` may be in use. Types are checked elsewhere. */
async function compileInto(folder: string): Promise<void> {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options = ['-p', 'tsconfig.build.json', '--noCheck'];
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
  const file = resolve(process.argv[2] ?? join(tmpdir(), 'sierradb-test.tar'));
  await buildImage(file);
  process.stdout.write(`${file}\n`);
}
