/** Before the first test: a cluster, the image on its nodes, the operator. `FROM_BEFORE=1`: all of it is there. */
import { Kubernetes, whyNoKubernetes } from './kubernetes.ts';
import { installOperator, provideImage } from './operator.ts';

export async function globalSetup(): Promise<void> {
  if (whyNoKubernetes() !== null || process.env['FROM_BEFORE'] === '1') return;
  const kubernetes = await Kubernetes.open();
  await provideImage(kubernetes);
  await installOperator(kubernetes);
}
