/** The operator, installed by its chart: once for all tests, unless one asks for it anew. */
import { join } from 'node:path';

import { buildImage, IMAGE, imageFile } from '../images.ts';
import type { Kubernetes } from './kubernetes.ts';

const root = join(import.meta.dirname, '..', '..', '..');

export const operatorImage: string = process.env['SIERRADB_IMAGE'] ?? IMAGE;
export const OPERATOR_NAMESPACE = 'sierradb-system';
export const OPERATOR = 'sierradb-operator';
export const chart: string = join(root, 'charts', 'sierradb-operator');
const INSTALL_MS = 120_000;

/** Makes the image of these sources and gives it to the cluster's nodes, unless another image was named. */
export async function provideImage({ kubox }: Kubernetes): Promise<void> {
  if (kubox === null || process.env['SIERRADB_IMAGE'] !== undefined) return;
  await buildImage(imageFile);
  await kubox.load(imageFile);
}

/** The resource definitions alone. */
export async function installDefinitions(kubernetes: Kubernetes): Promise<void> {
  const definition = join(root, 'crds', 'sierradb.io_sierraclusters.yaml');
  await kubernetes.kubectl(['apply', '--server-side', '--force-conflicts', '-f', definition]);
  const established = ['--for=condition=Established', 'crd/sierraclusters.sierradb.io'];
  await kubernetes.wait(established, INSTALL_MS);
}

/** Resolves when it runs. */
export async function installOperator(kubernetes: Kubernetes): Promise<void> {
  const at = operatorImage.lastIndexOf(':');
  const image = [
    ...['--set', `image.repository=${operatorImage.slice(0, at)}`],
    ...['--set', `image.tag=${operatorImage.slice(at + 1)}`],
    // The one that works may be on a machine that is lost.
    ...['--set', 'replicas=2'],
  ];
  const wait = ['--wait', '--timeout', `${INSTALL_MS / 1000}s`];
  await kubernetes.helm(
    [
      ...['upgrade', '--install', OPERATOR, chart],
      ...['--namespace', OPERATOR_NAMESPACE, '--create-namespace', ...image, ...wait],
    ],
    { timeoutMs: INSTALL_MS + 10_000 },
  );
}

/** Its resource definitions stay, and with them every cluster. */
export async function uninstallOperator(kubernetes: Kubernetes): Promise<void> {
  const release = ['--namespace', OPERATOR_NAMESPACE, '--ignore-not-found', '--wait'];
  await kubernetes.helm(['uninstall', OPERATOR, ...release], { timeoutMs: INSTALL_MS });
}

/** Without a chance to end anything; another pod takes its place. */
export async function killOperator(kubernetes: Kubernetes): Promise<void> {
  const pods = ['-l', `app.kubernetes.io/name=${OPERATOR}`];
  const flags = ['--grace-period=0', '--force', '--wait=false'];
  await kubernetes.kubectl(['-n', OPERATOR_NAMESPACE, 'delete', 'pods', ...pods, ...flags]);
}
