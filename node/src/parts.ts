/** The real parts of a node; `server.ts` puts them together. Loaded late, behind the sizing of the I/O pool. */
import { Router } from './cluster/router.ts';
import { openStore } from './engine/index.ts';
import { RespListener } from './resp/listener.ts';
import { respLimits } from './resp/limits.ts';
import type { NodeParts } from './server.ts';
import { Subscriptions } from './subscriptions/subscriptions.ts';

export const nodeParts: NodeParts = {
  openStore,
  openListener: async (store, config, { version, observer }) => {
    const router = new Router(store);
    const subscriptions = new Subscriptions(router, {
      targetsMax: config.subscriptionTargetsMax,
      onFault: (error) => observer.fault(error),
    });
    const listener = await RespListener.start({
      router,
      subscriptions,
      version,
      ...config.clientAddress,
      limits: respLimits(store.facts.appendMaxBytes, {
        pageBytesMax: config.pageBytesMax,
        connectionsMax: config.connectionsMax,
      }),
      protocolDefault: config.protocolDefault,
      observer,
    });
    return {
      host: config.clientAddress.host,
      port: listener.address.port,
      subscriptions: () => subscriptions.statistics,
      close: () => listener.stop(),
    };
  },
};
