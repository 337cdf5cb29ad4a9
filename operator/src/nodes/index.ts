/**
 * The only door to the storage nodes.
 *
 * ```ts
 * const nodes = new NodesClient();
 * const { member } = await nodes.status('orders-0.orders-nodes.shop.svc:9190', secret);
 * await nodes.close();
 * ```
 */
export { NodesClient, type NodesClientOptions } from './nodes-client.ts';
export { NodeError, type NodesApi } from './types.ts';
