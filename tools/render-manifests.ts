/**
 * What `kubectl apply` installs, rendered from the operator's chart, and the chart's copy of the resource definition.
 *
 *     node tools/render-manifests.ts        writes manifests/install.yaml and charts/sierradb-operator/files/; needs helm
 *
 * `HELM` names the program where it is not in the path.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
const NAMESPACE = 'sierradb-system';
const chart = join(root, 'charts', 'sierradb-operator');
const definition = 'sierradb.io_sierraclusters.yaml';

export const installFile: string = join(root, 'manifests', 'install.yaml');

const head = `# SierraDB's operator for all namespaces, in the namespace ${NAMESPACE}:
#
#     kubectl apply --server-side -f manifests/install.yaml
#
# Made of charts/sierradb-operator by tools/render-manifests.ts; change it there. The image is \`sierradb\` of this version: where it is
# elsewhere, change \`image\` and \`SIERRADB_OPERATOR_IMAGE\` of the Deployment.
apiVersion: v1
kind: Namespace
metadata:
  name: ${NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
`;

/** Null where there is no helm. */
export function helmProgram(): string | null {
  const places = [
    process.env['HELM'] ?? '',
    ...(process.env['PATH'] ?? '').split(':').map((folder) => join(folder, 'helm')),
    join(homedir(), '.cache', 'kubox', 'bin', 'helm'),
  ];
  return places.find((place) => place !== '' && existsSync(place)) ?? null;
}

/** The whole text of manifests/install.yaml. Throws with what helm says. */
export function renderInstall(helm: string): string {
  const rendered = execFileSync(
    helm,
    ['template', 'sierradb-operator', chart, '--namespace', NAMESPACE],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const manifests = rendered
    // Marks of Helm mean nothing to kubectl, and would have to be explained.
    .replaceAll(/^ *helm\.sh\/(chart|resource-policy): .*\n/gm, '')
    .replaceAll('app.kubernetes.io/managed-by: Helm', 'app.kubernetes.io/managed-by: kubectl')
    .replaceAll(/^# Source: .*\n/gm, '');
  return head + manifests;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const helm = helmProgram();
  if (helm === null) throw new Error('there is no helm in the path; HELM may name it');
  copyFileSync(join(root, 'crds', definition), join(chart, 'files', definition));
  writeFileSync(installFile, renderInstall(helm));
}
