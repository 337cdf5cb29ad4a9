/** The storage nodes as the operator speaks with them: HTTP on their cluster port, with the cluster's secret. */
import type { Assignment } from '../../../common/assignment.ts';
import type {
  AssignmentUpdate,
  DrainStatus,
  NodeStatus,
} from '../../../common/cluster-contract.ts';

/** No answer, or a refusal. */
export class NodeError extends Error {
  override readonly name: string = 'NodeError';
  /** HTTP status; 0: it did not answer. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** One node by its address, `host:port`. All methods reject with {@link NodeError}; they answer within seconds or not at all. */
export interface NodesApi {
  status(address: string, secret: string): Promise<NodeStatus>;
  /** Null while it is in no cluster. */
  assignment(address: string, secret: string): Promise<Assignment | null>;
  /** Resolves when the node has it durably. */
  putAssignment(address: string, secret: string, update: AssignmentUpdate): Promise<void>;
  drain(address: string, secret: string): Promise<DrainStatus>;
  endDrain(address: string, secret: string): Promise<void>;
}
