/**
 * Every command of README.md's section on Kubernetes, as it stands there, in its order: only the image is the one that the
 * cluster has. The operator is installed anew, both ways, so nothing else may need it meanwhile.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { commandBlocks } from '../../tools/readme-commands.ts';
import { helmProgram } from '../../tools/render-manifests.ts';
import { run } from './testing/command.ts';
import { Kubernetes, whyNoKubernetes } from './testing/kubernetes.ts';
import {
  installOperator,
  OPERATOR,
  OPERATOR_NAMESPACE,
  operatorImage,
  uninstallOperator,
} from './testing/operator.ts';

const root = join(import.meta.dirname, '..', '..');
const BLOCK_MS = 15 * 60_000;
const definition = 'crd/sierraclusters.sierradb.io';

describe('README.md on Kubernetes', { skip: whyNoKubernetes() ?? false }, () => {
  const namespace = `readme-${randomUUID().slice(0, 8)}`;
  let kubernetes: Kubernetes;
  let folder: string;
  let blocks: ReadonlyMap<string, readonly string[]>;

  before(async () => {
    kubernetes = await Kubernetes.open();
    folder = await mkdtemp(join(tmpdir(), 'sierradb-readme-'));
    await copyFile(kubernetes.kubeconfig, join(folder, 'kubeconfig'));
    await uninstallOperator(kubernetes);
    await kubernetes.kubectl(['create', 'namespace', namespace]);
    await shell(`kubectl config set-context --current --namespace ${namespace}`);
    const document = await readFile(join(root, 'README.md'), 'utf8');
    blocks = new Map(commandBlocks(document).map(({ name, commands }) => [name, commands]));
  });

  after(async () => {
    await kubernetes.kubectl(['delete', 'namespace', namespace, '--wait=false']);
    await rm(folder, { recursive: true, force: true });
  });

  /** As a person would type it, in the checkout, with a namespace of its own. */
  function shell(command: string): Promise<string> {
    const path = [dirname(helmProgram() ?? ''), process.env['PATH'] ?? ''].join(delimiter);
    const environment = { PATH: path, KUBECONFIG: join(folder, 'kubeconfig') };
    const script = `cd '${root}' && set -euo pipefail && ${withImage(command)}`;
    return run('bash', ['-c', script], { environment, timeoutMs: BLOCK_MS });
  }

  async function runBlock(name: string): Promise<string> {
    const outputs: string[] = [];
    for (const command of blocks.get(name) ?? assert.fail(name)) outputs.push(await shell(command));
    return outputs.join('');
  }

  it('installs the operator with Helm', async () => {
    await runBlock('install with helm');
  });

  it('has a first event appended and read', async () => {
    assert.match(await runBlock('first append'), /UserRegistered[^]*Alice/);
  });

  it('shows how it is', async () => {
    assert.match(
      await runBlock('watch'),
      /NODES\s+PHASE\s+READY\s+LEADERLESS\s+AGE\norders\s+3\/3\s+Ready\s+True\s+0/,
    );
  });

  it('scales, and keeps the event', async () => {
    await runBlock('scale');
    const [, , , read = ''] = blocks.get('first append') ?? [];
    assert.match(await shell(read), /Alice/);
  });

  it('upgrades', async () => {
    await runBlock('upgrade');
  });

  it('deletes the cluster and its volumes', async () => {
    await runBlock('delete');
    assert.equal(await shell('kubectl get sdb,pvc -o name'), '');
  });

  it('uninstalls, and installs with kubectl', async () => {
    await runBlock('uninstall with helm');
    await runBlock('install with kubectl');
    await shell('kubectl apply -f manifests/samples/single.yaml');
    await shell('kubectl wait sdb/single --for condition=Ready --timeout 5m');
    await shell('kubectl delete sdb single');
    await backToHelm();
  });

  /** What others expect. The definition stays, or every cluster would go. */
  async function backToHelm(): Promise<void> {
    await kubernetes.kubectl(['delete', 'namespace', OPERATOR_NAMESPACE]);
    const label = 'app.kubernetes.io/managed-by=kubectl';
    await kubernetes.kubectl(['delete', 'clusterroles,clusterrolebindings', '-l', label]);
    await kubernetes.kubectl([
      ...['label', '--overwrite', definition, 'app.kubernetes.io/managed-by=Helm'],
    ]);
    await kubernetes.kubectl([
      ...['annotate', '--overwrite', definition, `meta.helm.sh/release-name=${OPERATOR}`],
      `meta.helm.sh/release-namespace=${OPERATOR_NAMESPACE}`,
    ]);
    await installOperator(kubernetes);
  }
});

/** The image that the cluster has, where README.md has that of a registry. */
function withImage(command: string): string {
  const at = operatorImage.lastIndexOf(':');
  const [repository, tag] = [operatorImage.slice(0, at), operatorImage.slice(at + 1)];
  return command
    .replaceAll('registry.example.com/sierradb:0.1.0', operatorImage)
    .replaceAll('registry.example.com/sierradb', repository)
    .replaceAll('image.tag=0.1.0', `image.tag=${tag}`);
}
