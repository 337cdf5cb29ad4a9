/** The real parts of a node; `server.ts` puts them together. Loaded late, behind the sizing of the I/O pool. */
import { SierraError } from '../../common/errors.ts';
import { Router } from './cluster/router.ts';
import { openStore } from './engine/index.ts';
import { RespListener } from './resp/listener.ts';
import { respLimits } from './resp/limits.ts';
import type { NodeParts } from './server.ts';
import type { SubscriptionOpener } from './subscriptions/types.ts';

const noSubscriptions: SubscriptionOpener = {
  open: () => {
    throw new SierraError('CLUSTERDOWN', 'subscriptions are unavailable');
  },
  statistics: {
    open: 0,
    targets: 0,
    waitingForAcknowledgement: 0,
    waitingForSink: 0,
    delivered: 0,
    failed: 0,
  },
};

export const nodeParts: NodeParts = {
  openStore,
  openListener: async (store, config, { version, observer }) => {
    const listener = await RespListener.start({
      router: new Router(store),
      subscriptions: noSubscriptions,
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
      close: () => listener.stop(),
    };
  },
};
