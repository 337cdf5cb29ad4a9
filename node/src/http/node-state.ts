/** The life of a node, in this order; `failed` can follow each of them. One place changes it: `server.ts`. */
export type NodeState =
  /** Opening its ports and files. */
  | 'starting'
  /** Waiting for the other nodes of a new cluster. */
  | 'forming'
  /** Reading the data directory and making the surviving tail durable again. */
  | 'recovering'
  /** Answering clients. */
  | 'serving'
  /** Taking no new connections, finishing what was accepted. */
  | 'stopping'
  | 'stopped'
  /** A write or sync failed; nothing more is accepted and the process is about to end. */
  | 'failed';
