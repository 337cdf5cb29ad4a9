/** A test on the cluster: what there is to be seen is shown where it fails. */
import { it, type TestContext } from 'node:test';

import type { SierraClusterSpec } from '../../../operator/src/api/sierra-cluster.ts';
import { Kubernetes, whyNoKubernetes } from './kubernetes.ts';
import { OPERATOR_NAMESPACE } from './operator.ts';
import { World } from './world.ts';

/** Most of them take one or two minutes on two busy cores. */
const TIMEOUT_MS = 10 * 60_000;

export interface ScenarioOptions {
  /** What is different from the sample. */
  readonly spec?: SierraClusterSpec;
  /** The test applies it itself; otherwise it is applied and ready when the test begins. */
  readonly isApplied?: false;
  /** It stops machines or processes under the cluster. */
  readonly breaksMachines?: true;
  readonly timeoutMs?: number;
}

export type Body = (world: World, t: TestContext) => Promise<void>;

export function scenario(name: string, options: ScenarioOptions, body: Body): void {
  const reason = whyNoKubernetes();
  const limits = { timeout: options.timeoutMs ?? TIMEOUT_MS, skip: reason ?? false };
  it(name, limits, async (t) => {
    const kubernetes = await Kubernetes.open();
    if (options.breaksMachines === true && kubernetes.kubox === null) {
      t.skip('its machines are not ours');
      return;
    }
    await using world = await World.prepare(kubernetes, options.spec);
    try {
      if (options.isApplied !== false) {
        await world.apply();
        await world.untilReady();
      }
      await body(world, t);
    } catch (error) {
      t.diagnostic(await operatorsView(kubernetes));
      t.diagnostic(await diagnosis(kubernetes, world.namespace));
      throw error;
    }
  });
}

/** What a person would look at first. */
async function diagnosis(kubernetes: Kubernetes, namespace: string): Promise<string> {
  const here = ['-n', namespace];
  return collect(kubernetes, [
    [...here, 'get', 'sdb,pods,pvc,sts', '-o', 'wide'],
    [...here, 'get', 'sdb', '-o', 'yaml'],
    [...here, 'get', 'events', '--sort-by=.lastTimestamp'],
    [...here, 'logs', '-l', 'app.kubernetes.io/name=sierradb', '--tail=40', '--prefix'],
  ]);
}

function operatorsView(kubernetes: Kubernetes): Promise<string> {
  const here = ['-n', OPERATOR_NAMESPACE];
  return collect(kubernetes, [
    [...here, 'get', 'pods', '-o', 'wide'],
    [...here, 'logs', '-l', 'app.kubernetes.io/name=sierradb-operator', '--tail=200', '--prefix'],
  ]);
}

async function collect(kubernetes: Kubernetes, commands: readonly string[][]): Promise<string> {
  const parts = await Promise.all(
    commands.map(async (args) => {
      const text = await kubernetes
        .kubectl(args, { timeoutMs: 20_000 })
        .catch((error: unknown) => (error as Error).message);
      return `$ kubectl ${args.join(' ')}\n${text}`;
    }),
  );
  return parts.join('\n');
}
